#!/bin/sh
# Start Redis with the password from the environment, which no process list then shows.
set -eu
: "${REDIS_PASSWORD:?set REDIS_PASSWORD to a long random string of letters and digits}"
umask 077
{ cat /etc/relata/redis.conf; printf 'requirepass %s\n' "$REDIS_PASSWORD"; } > /tmp/redis.conf
exec redis-server /tmp/redis.conf
