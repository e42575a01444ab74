# The driver of the schedule: starts `trueup cycle --runner emr`, counts little days itself, needs no Java and no torch.
#   docker build -t trueup-driver .
#   docker build -t trueup-service --build-arg EXTRA=serve .        the inference service, from the same file
#   docker run --rm -e TRUEUP_ROOT=s3://… -e TRUEUP_MODEL=… trueup-driver cycle --runner emr
FROM python:3.11-slim-bookworm
WORKDIR /trueup
# Exactly what packages for clusters are made from, so that the driver finds the ones that `trueup emr deploy` uploaded.
COPY setup.py pyproject.toml requirements.lock ./
COPY command/ command/
COPY contract/ contract/
COPY emr/ emr/
COPY inference/ inference/
COPY jobs/ jobs/
COPY jvm/ jvm/
COPY metrics/ metrics/
COPY pipeline/ pipeline/
COPY training/ training/
ARG EXTRA=emr
RUN pip install --no-cache-dir --editable ".[$EXTRA]" && useradd --create-home trueup
USER trueup
WORKDIR /home/trueup
ENTRYPOINT ["trueup"]
CMD ["cycle", "--runner", "emr", "--unless-held"]
