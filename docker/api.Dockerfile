# The API, and the worker of forecasts: ONNX Runtime serves, so there is no torch in here.
# Built from the root of the checkout: docker build -f docker/api.Dockerfile .
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE}

# Which runtime: `service` is ONNX Runtime for the CPU, `gpu` for CUDA (its libraries come with it).
ARG EXTRA=service

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app \
    PATH=/opt/relata/bin:$PATH \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    RELATA_HOME=/var/lib/relata \
    RELATA_HOST=0.0.0.0 \
    PORT=8000

RUN groupadd --gid 10001 relata \
 && useradd --uid 10001 --gid 10001 --home-dir /var/lib/relata --no-create-home relata \
 && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/relata

# Dependencies first and alone, so that a change of code does not install them again: with no
# package beside it, the distribution is only its metadata, and the code is found on PYTHONPATH.
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN python -m venv /opt/relata \
 && pip install --no-cache-dir -c constraints.txt ".[${EXTRA}]"

WORKDIR /app
COPY trajectories/ trajectories/
COPY models/ models/
COPY service/ service/
COPY artifacts/ artifacts/

USER 10001:10001
VOLUME /var/lib/relata
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["python", "-m", "service", "api"]
