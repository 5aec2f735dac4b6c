# Three images from one file: api (no torch in it), worker-cpu and worker-cuda.
#   docker build --target api -t eigenpress-api .
FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    VIRTUAL_ENV=/opt/eigenpress \
    PATH=/opt/eigenpress/bin:$PATH
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin eigenpress \
    && install --directory --owner=eigenpress --group=eigenpress /data \
    && python -m venv "$VIRTUAL_ENV"
WORKDIR /app
# What is installed depends on these alone, so that a change of the sources does not install it again.
COPY pyproject.toml constraints.txt README.md LICENSE ./
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN mkdir spectral_engine service worker

FROM base AS deps-api
RUN pip install -c constraints.txt '.[api]' && pip uninstall --yes eigenpress

FROM base AS deps-worker-cuda
RUN pip install -c constraints.txt torch==2.13.0 \
    && pip install -c constraints.txt '.[worker]' && pip uninstall --yes eigenpress

# A wheel without CUDA is smaller by gigabytes; name the index that has it at build time.
FROM base AS deps-worker-cpu
ARG TORCH_INDEX_URL=""
RUN pip install -c constraints.txt ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} torch==2.13.0 \
    && pip install -c constraints.txt '.[worker]' && pip uninstall --yes eigenpress

FROM deps-api AS api
COPY spectral_engine spectral_engine
COPY service service
COPY worker worker
RUN pip install --no-deps .
USER 10001
ENV EIGENPRESS_DATA_DIR=/data EIGENPRESS_HOST=0.0.0.0 EIGENPRESS_PORT=8000
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
CMD ["python", "-m", "service.api"]

# A worker that cannot be woken is unhealthy; one that ends is started again by its restart policy.
FROM deps-worker-cpu AS worker-cpu
COPY spectral_engine spectral_engine
COPY service service
COPY worker worker
RUN pip install --no-deps .
USER 10001
ENV EIGENPRESS_DATA_DIR=/data
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from service.job_notifier import JobNotifier; from service.settings import Settings; raise SystemExit(not JobNotifier(Settings().broker_url).reachable())"]
CMD ["eigenpress", "worker", "--queues", "cpu"]

FROM deps-worker-cuda AS worker-cuda
COPY spectral_engine spectral_engine
COPY service service
COPY worker worker
RUN pip install --no-deps .
USER 10001
ENV EIGENPRESS_DATA_DIR=/data
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from service.job_notifier import JobNotifier; from service.settings import Settings; raise SystemExit(not JobNotifier(Settings().broker_url).reachable())"]
CMD ["eigenpress", "worker", "--queues", "gpu,cpu"]
