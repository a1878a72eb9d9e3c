# build: installs, strips; dev: for the dev container; the last one: what runs, without a compiler.
# The base is named once, here. SOURCE_DATE_EPOCH dates every file: the same tree gives the same layers.
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
ARG SOURCE_DATE_EPOCH=1767225600
# of pyproject.toml, such as experiments: MLflow's client
ARG EXTRAS=""
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils >/dev/null && rm -rf /var/lib/apt/lists/*
COPY requirements.lock pyproject.toml /build/
COPY scripts/image_packages.py /build/scripts/
# what the platform imports, in the versions of the lock: servers are containers of their own here, and there are no development tools
RUN python -m venv --without-pip /opt/venv && cd /build && python scripts/image_packages.py wanted client exports mqtt $EXTRAS > wanted.txt \
    && pip --python /opt/venv/bin/python install -q --no-compile -c requirements.lock -r wanted.txt \
    && pip --python /opt/venv/bin/python install -q --no-compile --no-deps -c requirements.lock setuptools \
    && /opt/venv/bin/python scripts/image_packages.py check
COPY . /app
RUN pip --python /opt/venv/bin/python install -q --no-compile --no-deps --no-build-isolation --editable /app \
    && pip --python /opt/venv/bin/python uninstall -q -y setuptools \
    && /opt/venv/bin/python /app/scripts/image_packages.py slim \
    && mkdir -p /out/opt && mv /opt/venv /out/opt && mv /app /out \
    && find /out -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# with git, make and a user, for .devcontainer/: `make setup` does the rest
FROM ${PYTHON_IMAGE} AS dev
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends git make openssh-client libcurl4 libssl3 >/dev/null \
    && rm -rf /var/lib/apt/lists/* && useradd --uid 1000 --create-home --shell /bin/bash dev
USER dev

FROM ${PYTHON_IMAGE}
ARG SOURCE_DATE_EPOCH=1767225600
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dataplatform" \
    org.opencontainers.image.description="A self-hosted, metadata-driven data platform for personal data" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
# /data may be written by any user of the group 10001: the containers run as the owner of the checkout
RUN groupadd --gid 10001 dataplatform \
    && useradd --no-log-init --uid 10001 --gid 10001 --create-home --home-dir /home/dataplatform dataplatform \
    && install -d -m 2770 -o dataplatform -g dataplatform /data /home/dataplatform \
    && sed -i -E 's/^(dataplatform:[^:]*:)[0-9]+:/\120000:/' /etc/shadow \
    && find /etc /home /data /var -maxdepth 1 -newermt "@$SOURCE_DATE_EPOCH" ! -name resolv.conf ! -name hosts ! -name hostname -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
# at once: folders that COPY itself has to make are dated today
COPY --from=build /out /
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1 \
    HOME=/home/dataplatform \
    DATAPLATFORM_HOME=/data \
    DATAPLATFORM_METADATA=/app/metadata \
    DATAPLATFORM_CONNECTORS=/app/connectors
WORKDIR /app
USER dataplatform
VOLUME /data
# of any command: the program starts and its settings are legal; the services of docker-compose.yml have checks of their own
HEALTHCHECK --interval=30s --timeout=20s --start-period=30s CMD ["python", "-c", "from dataplatform.settings import load_settings; load_settings()"]
ENTRYPOINT ["dataplatform"]
CMD ["--help"]
