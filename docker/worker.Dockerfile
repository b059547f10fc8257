# The worker that also trains: what the API's image has, and torch.
# Built from the root of the checkout: docker build -f docker/worker.Dockerfile .
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

# A folder of wheels may be laid in (--build-context wheels=DIR), for instance torch for the CPU,
# a tenth of the size of the one with CUDA that the default index gives. Empty unless laid in.
FROM scratch AS wheels

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE}

# `service,train` runs on the CPU; `gpu,train` serves by CUDA too.
ARG EXTRAS=service,train

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/app \
    PATH=/opt/relata/bin:$PATH \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    MPLCONFIGDIR=/tmp/matplotlib \
    TORCHINDUCTOR_CACHE_DIR=/tmp/inductor \
    TRITON_CACHE_DIR=/tmp/triton \
    CUDA_CACHE_PATH=/tmp/cuda \
    RELATA_HOME=/var/lib/relata

RUN groupadd --gid 10001 relata \
 && useradd --uid 10001 --gid 10001 --home-dir /var/lib/relata --no-create-home relata \
 && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/relata

WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN --mount=type=bind,from=wheels,target=/wheels \
    python -m venv /opt/relata \
 && pip install --no-cache-dir --find-links=/wheels -c constraints.txt ".[${EXTRAS}]"

WORKDIR /app
COPY trajectories/ trajectories/
COPY models/ models/
COPY training/ training/
COPY service/ service/
COPY artifacts/ artifacts/

USER 10001:10001
VOLUME /var/lib/relata
STOPSIGNAL SIGTERM
CMD ["python", "-m", "service", "worker"]
