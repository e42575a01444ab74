# The driver of the schedule: starts `trueup cycle --runner emr`, counts small days itself, needs no Java and no torch.
#   docker build --platform linux/amd64 -t trueup-driver .      (--build-arg EXTRA="emr mlflow" where it tells an MLflow)
#   docker run --rm -e TRUEUP_ROOT=s3://… -e TRUEUP_MODEL=… trueup-driver cycle --runner emr
# The inference service, from the same file:
#   docker build --platform linux/amd64 -t trueup-service --build-arg EXTRA=serve --build-arg TORCH=cpu .
#   docker run --stop-timeout 120 -v trueup-outbox:/outbox -p 8080:8080 … trueup-service serve --host 0.0.0.0
# docs/deploy.md says how pip's settings and certificates get into a build and stay out of the image.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}
RUN useradd --create-home --uid 1000 trueup && install -d -o trueup -g trueup -m 0700 /outbox
WORKDIR /trueup
# What changes seldom comes first: a change of code builds only the layers from its COPY on.
COPY tools/install_extras.py tools/pip_settings.py tools/trim_torch.py tools/
COPY setup.py requirements.lock ./
ARG EXTRA=emr
ARG TORCH=locked
RUN --mount=type=cache,id=trueup-uv,target=/var/cache/uv --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=ca python3 -m venv .venv \
    && UV_CACHE_DIR=/var/cache/uv .venv/bin/python tools/install_extras.py --torch "$TORCH" "$EXTRA"
# Exactly what packages for clusters are made from, so that the driver finds the ones that `trueup emr deploy` uploaded.
COPY pyproject.toml ./
COPY command/ command/
COPY contract/ contract/
COPY emr/ emr/
COPY inference/ inference/
COPY jobs/ jobs/
COPY jvm/ jvm/
COPY metrics/ metrics/
COPY pipeline/ pipeline/
COPY training/ training/
# Compiled here, because the user who runs it may write nothing but /outbox and /tmp.
RUN PYTHONWARNINGS=ignore .venv/bin/pip install --quiet --no-cache-dir --no-index --no-deps --no-build-isolation --config-settings editable_mode=compat --editable . \
    && .venv/bin/python -m compileall -q command contract emr inference jobs jvm metrics pipeline training
ENV PATH=/trueup/.venv/bin:/usr/local/bin:/usr/bin:/bin TRUEUP_SERVE_OUTBOX=/outbox
VOLUME /outbox
# `serve` ships its outbox at SIGTERM, for up to 100 s: --stop-timeout 120, as the template has it.
STOPSIGNAL SIGTERM
USER 1000:1000
WORKDIR /home/trueup
ENTRYPOINT ["trueup"]
CMD ["cycle", "--runner", "emr", "--unless-held"]
