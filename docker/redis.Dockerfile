# Redis that keeps what it is told, asks for a password, and never runs as root.
ARG REDIS_IMAGE=redis:7.2-bookworm
# hadolint ignore=DL3006
FROM ${REDIS_IMAGE}

COPY docker/redis/redis.conf docker/redis/start.sh /etc/relata/
# A directory of its own: what a build writes into the base image's volume may be thrown away.
RUN mkdir -p /var/lib/relata-redis \
 && chown 10001:10001 /var/lib/relata-redis

USER 10001:10001
VOLUME /var/lib/relata-redis
EXPOSE 6379
ENTRYPOINT []
CMD ["sh", "/etc/relata/start.sh"]
