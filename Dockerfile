# The image of every role: `docker build -t sluicegate .`
#
# Debian, not Alpine: pymongo and cel-expr-python have no musl wheels.
# Runs as a user of its own; everything but /data may be mounted read-only.

FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv /opt/sluicegate \
    && /opt/sluicegate/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
    && python -m venv /tmp/build \
    && /tmp/build/bin/pip install --no-cache-dir hatchling \
    && /tmp/build/bin/python -m hatchling build --target wheel --directory /tmp/wheel \
    && /opt/sluicegate/bin/pip install --no-cache-dir --no-deps /tmp/wheel/*.whl

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home sluicegate
COPY --from=build /opt/sluicegate /opt/sluicegate
ENV PATH=/opt/sluicegate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    SLUICEGATE_DATA_DIR=/data \
    SLUICEGATE_LOGGING__FORMAT=json \
    SLUICEGATE_LOGGING__FILE=
USER sluicegate
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["sluicegate"]
CMD ["serve"]
