"""The Lua scripts that move a job from state to state; each is atomic and safe to send twice.

Every script but ``CREATE`` takes ``KEYS = record, lease, events, open, ended, request`` and
``ARGV = id, now, …``. A script that is repeated because its answer got lost gives the same answer.

A lease is held under a token that is unique to one claim. The fence counts the claims of a job: a
worker whose fence is no longer current can change nothing, however late it wakes up. A milestone is
durable progress (a stored chunk, a finished epoch); an attempt that dies after one is not counted.
"""

_PRELUDE = """
local record, lease, events, open, ended, request = unpack(KEYS, 1, 6)
local id, now = ARGV[1], ARGV[2]

local function field(name) return redis.call('HGET', record, name) end

local function number(name) return tonumber(field(name) or '0') end

local function note()
  redis.call('HINCRBY', record, 'version', 1)
  local seen = redis.call('HMGET', record, 'state', 'phase', 'done', 'total', 'eta_s', 'attempts')
  redis.call('XADD', events, 'MAXLEN', '~', 1000, '*',
    'state', seen[1], 'phase', seen[2] or '', 'done', seen[3] or '0', 'total', seen[4] or '0',
    'eta_s', seen[5] or '', 'attempts', seen[6] or '0')
end

local function close(state, keep_s)
  local expires = string.format('%.3f', tonumber(now) + tonumber(keep_s))
  redis.call('HSET', record, 'state', state, 'finished_at', now, 'expires_at', expires, 'eta_s', '')
  redis.call('DEL', lease)
  redis.call('SREM', open, id)
  redis.call('ZADD', ended, expires, id)
  note()
end

local function at_work(state) return state == 'running' or state == 'finalizing' end

local function is_open(state)
  return at_work(state) or state == 'queued' or state == 'cancelling'
end
"""

# KEYS: record, jobs, open, events, tenants, request, idempotency
# ARGV: id, now, tenant, record prefix, body digest, idempotency seconds (0 = no key), request,
#       field, value…
CREATE = """
local record, jobs, open, events, tenants, request, idempotency = unpack(KEYS)
local id, now, tenant, prefix, body, idempotency_s, asked = unpack(ARGV, 1, 7)
if redis.call('EXISTS', record) == 1 then return {'created', id} end
if tonumber(idempotency_s) > 0 then
  local known = redis.call('HMGET', idempotency, 'id', 'body')
  if known[1] and redis.call('EXISTS', prefix .. known[1]) == 1 then
    if known[2] ~= body then return {'conflict', known[1]} end
    return {'replayed', known[1]}
  end
  redis.call('HSET', idempotency, 'id', id, 'body', body)
  redis.call('EXPIRE', idempotency, idempotency_s)
end
redis.call('SET', request, asked)
for i = 8, #ARGV, 2 do redis.call('HSET', record, ARGV[i], ARGV[i + 1]) end
redis.call('ZADD', jobs, now, id)
redis.call('SADD', open, id)
redis.call('SADD', tenants, tenant)
redis.call('XADD', events, '*', 'state', 'queued', 'phase', 'queued', 'done', '0', 'total', '0',
  'eta_s', '', 'attempts', '0')
return {'created', id}
"""

# ARGV: …, token, worker, lease ms, most deaths, keep seconds, error if this death is the last
CLAIM = (
    _PRELUDE
    + """
local token, worker, lease_ms, most_deaths, keep_s, obituary = unpack(ARGV, 3, 8)
local state = field('state')
if not state then return {'unknown', 0} end
if not is_open(state) then return {'over', 0} end
local holder = redis.call('GET', lease)
if holder == token then return {'claimed', number('fence')} end
if holder then return {'busy', 0} end
if state == 'cancelling' then
  close('cancelled', keep_s)
  return {'over', 0}
end
if at_work(state) then
  if number('milestone') > number('milestone_at_claim') then
    redis.call('HSET', record, 'deaths', 0)
  else
    local deaths = redis.call('HINCRBY', record, 'deaths', 1)
    if deaths >= tonumber(most_deaths) then
      redis.call('HSET', record, 'error', obituary)
      close('failed', keep_s)
      return {'exhausted', 0}
    end
    redis.call('HINCRBY', record, 'attempts', 1)
  end
else
  redis.call('HINCRBY', record, 'attempts', 1)
end
redis.call('SET', lease, token, 'PX', lease_ms)
redis.call('HSETNX', record, 'started_at', now)
redis.call('HINCRBY', record, 'starts', 1)
redis.call('HSET', record, 'state', 'running', 'worker', worker, 'claimed_at', now,
  'milestone_at_claim', number('milestone'))
local fence = redis.call('HINCRBY', record, 'fence', 1)
note()
return {'claimed', fence}
"""
)

# ARGV: …, token, fence, lease ms, state, phase, done, total, eta seconds or ''
BEAT = (
    _PRELUDE
    + """
local token, fence, lease_ms, wanted, phase, done, total, eta_s = unpack(ARGV, 3, 10)
local state = field('state')
if not state or not is_open(state) or field('fence') ~= fence or state == 'queued' then
  return 'lost'
end
redis.call('SET', lease, token, 'PX', lease_ms)
redis.call('HSET', record, 'seen_at', now)
if state == 'cancelling' then return 'cancel' end
local before = redis.call('HMGET', record, 'state', 'phase', 'done', 'total')
redis.call('HSET', record, 'state', wanted, 'phase', phase, 'done', done, 'total', total,
  'eta_s', eta_s)
if before[1] ~= wanted or before[2] ~= phase or before[3] ~= done or before[4] ~= total then
  note()
end
return 'ok'
"""
)

# ARGV: …, token, fence, lease ms, milestone, pointer to the stored checkpoint or ''
ADVANCE = (
    _PRELUDE
    + """
local token, fence, lease_ms, milestone, pointer = unpack(ARGV, 3, 7)
local state = field('state')
if not state or not is_open(state) or field('fence') ~= fence or state == 'queued' then
  return 'lost'
end
redis.call('SET', lease, token, 'PX', lease_ms)
if tonumber(milestone) > number('milestone') then
  redis.call('HSET', record, 'milestone', milestone)
end
if pointer ~= '' then redis.call('HSET', record, 'checkpoint', pointer) end
return 'ok'
"""
)

# ARGV: …, fence, state, keep seconds, result pointer or '', error or ''
FINISH = (
    _PRELUDE
    + """
local fence, final, keep_s, result, failure = unpack(ARGV, 3, 7)
local state = field('state')
if not state or field('fence') ~= fence then return 'lost' end
if state == final then return 'ok' end
if not is_open(state) or state == 'queued' then return 'lost' end
if result ~= '' then redis.call('HSET', record, 'result', result) end
if failure ~= '' then redis.call('HSET', record, 'error', failure) end
if final == 'succeeded' then
  redis.call('HSET', record, 'phase', 'done', 'done', field('total') or '0')
end
close(final, keep_s)
return 'ok'
"""
)

# ARGV: …, fence, keep seconds
RELEASE = (
    _PRELUDE
    + """
local fence, keep_s = unpack(ARGV, 3, 4)
local state = field('state')
if not state or field('fence') ~= fence then return 'lost' end
if state == 'queued' then return 'ok' end
if state == 'cancelling' then
  close('cancelled', keep_s)
  return 'ok'
end
if not at_work(state) then return 'lost' end
redis.call('DEL', lease)
redis.call('HINCRBY', record, 'attempts', -1)
redis.call('HSET', record, 'state', 'queued', 'eta_s', '', 'rung_at', '0')
note()
return 'ok'
"""
)

# ARGV: …, keep seconds
CANCEL = (
    _PRELUDE
    + """
local keep_s = ARGV[3]
local state = field('state')
if not state then return 'unknown' end
if not is_open(state) then return 'over' end
if state == 'queued' or redis.call('EXISTS', lease) == 0 then
  close('cancelled', keep_s)
  return 'cancelled'
end
if state ~= 'cancelling' then
  redis.call('HSET', record, 'state', 'cancelling', 'cancelled_at', now)
  note()
end
return 'cancelling'
"""
)

# ARGV: …, seconds until the record itself is forgotten
EXPIRE = (
    _PRELUDE
    + """
local forget_s = ARGV[3]
local state = field('state')
if not state then return 'unknown' end
if is_open(state) or state == 'expired' then return state end
redis.call('HSET', record, 'state', 'expired')
redis.call('HDEL', record, 'result', 'checkpoint')
redis.call('DEL', request)
redis.call('ZADD', ended, string.format('%.3f', tonumber(now) + tonumber(forget_s)), id)
note()
return 'expired'
"""
)

# KEYS: …, jobs
FORGET = (
    _PRELUDE
    + """
local state = field('state')
if state and is_open(state) then return 'open' end
redis.call('DEL', record, lease, events, request)
redis.call('ZREM', ended, id)
redis.call('ZREM', KEYS[7], id)
return state and 'forgotten' or 'unknown'
"""
)

# ARGV: …
RUNG = (
    _PRELUDE
    + """
if not field('state') then return 'unknown' end
redis.call('HSET', record, 'rung_at', now)
redis.call('HINCRBY', record, 'rings', 1)
return 'ok'
"""
)
