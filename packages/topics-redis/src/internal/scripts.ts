import { createHash } from "node:crypto"

/** A Lua script, and the digest by which the server knows it. */
export interface Script {
  readonly source: string
  readonly sha: string
}

const script = (source: string): Script => ({ source, sha: createHash("sha1").update(source).digest("hex") })

/**
 * How each script about a topic begins.
 *
 * KEYS: state (hash), log (stream), sizes (list), ids (hash), idTimes (sorted set).
 * ARGV: an unused epoch, unusedAge, maxPublications, maxBytes, maxAge. Times are in milliseconds of the clock of the server.
 *
 * The ID of a publication in the stream is its offset. `sizes` has `time:bytes` of each publication in the stream, oldest
 * first, so that bounds are checked without reading messages.
 */
const open = `
local function text(number) return string.format('%.0f', number) end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local unusedAge, maxPublications, maxBytes, maxAge = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

-- Another server after a failover, or after a restart: it may lack the newest publications, so the epoch ends.
local server = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or ''
local state = redis.call('HMGET', KEYS[1], 'epoch', 'server', 'offset', 'bytes')
local epoch, offset, bytes = state[1], tonumber(state[3] or 0), tonumber(state[4] or 0)
local changed = not epoch or state[2] ~= server
if not epoch then
  -- What is left of a topic whose state was evicted.
  redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
end
if changed then epoch = ARGV[1] end

local count = redis.call('LLEN', KEYS[3])
if count ~= redis.call('XLEN', KEYS[2]) then
  -- One of them was evicted.
  redis.call('DEL', KEYS[2], KEYS[3])
  count, bytes, changed = 0, 0, true
end

local function trim()
  local before = count
  while count > 0 do
    local time, size = string.match(redis.call('LINDEX', KEYS[3], 0), '(%d+):(%d+)')
    if count <= maxPublications and bytes <= maxBytes and tonumber(time) > now - maxAge then break end
    redis.call('LPOP', KEYS[3])
    count, bytes = count - 1, bytes - size
  end
  if count == before then return end
  changed = true
  if count == 0 then
    redis.call('DEL', KEYS[2], KEYS[3])
    bytes = 0
  else
    redis.call('XTRIM', KEYS[2], 'MINID', text(offset - count + 1) .. '-0')
  end
end

local function save()
  if changed then
    redis.call('HSET', KEYS[1], 'epoch', epoch, 'server', server, 'offset', text(offset), 'bytes', text(bytes))
  end
  redis.call('PEXPIRE', KEYS[1], unusedAge)
end
`

/** ARGV: …, channel, body, bytes of the message, 'k' and the idempotency key or '', maxKeys, maxAge of keys. Returns epoch, offset, whether it is a duplicate. */
export const publish = script(`${open}
local channel, body, size, key, maxKeys, maxKeyAge = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11])
if key ~= '' then
  local time = redis.call('ZSCORE', KEYS[5], key)
  local known = time and tonumber(time) > now - maxKeyAge and redis.call('HGET', KEYS[4], key)
  if known then
    save()
    return {epoch, known, '1'}
  end
end
offset, changed = offset + 1, true
local id = text(offset)
if maxPublications > 0 then
  redis.call('XADD', KEYS[2], id .. '-0', 'm', body)
  redis.call('RPUSH', KEYS[3], text(now) .. ':' .. text(size))
  count, bytes = count + 1, bytes + size
  trim()
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
  redis.call('PEXPIRE', KEYS[3], ARGV[5])
end
if key ~= '' then
  redis.call('HSET', KEYS[4], key, id)
  redis.call('ZADD', KEYS[5], now, key)
  local old = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', text(now - maxKeyAge), 'LIMIT', 0, 100)
  for _, each in ipairs(old) do
    redis.call('ZREM', KEYS[5], each)
    redis.call('HDEL', KEYS[4], each)
  end
  while redis.call('ZCARD', KEYS[5]) > maxKeys do
    redis.call('HDEL', KEYS[4], redis.call('ZPOPMIN', KEYS[5])[1])
  end
  redis.call('PEXPIRE', KEYS[4], ARGV[11])
  redis.call('PEXPIRE', KEYS[5], ARGV[11])
end
save()
redis.call('PUBLISH', channel, 'P' .. epoch .. ' ' .. id .. ' ' .. body)
return {epoch, id, '0'}
`)

/** Returns epoch, offset. */
export const position = script(`${open}
save()
return {epoch, text(offset)}
`)

/** ARGV: …, epoch and offset of the position to begin behind, or '' twice, limit. Returns epoch, offset, whether nothing is missing, the offset of the first body, bodies. */
export const history = script(`${open}
local sinceEpoch, since, limit = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
trim()
save()
if not since then
  since = offset - math.min(count, limit)
elseif sinceEpoch ~= epoch or since > offset or since < offset - count then
  return {epoch, text(offset), '0', text(offset + 1)}
end
local page = {epoch, text(offset), '1', text(since + 1)}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], text(since + 1) .. '-0', '+', 'COUNT', limit)) do
  page[#page + 1] = entry[2][2]
end
return page
`)

/** ARGV: channel. Tells all subscriptions. */
export const remove = script(`
redis.call('DEL', unpack(KEYS))
redis.call('PUBLISH', ARGV[1], 'R')
return {}
`)

/**
 * How each script about presence begins: it removes the sessions that have expired, a part of them if they are many, and
 * tells so.
 *
 * KEYS: metas (hash by session, and the generation by ''), expiries (sorted set of sessions). ARGV: channel.
 *
 * A generation is made with the first session. If the keys are lost, there is another one, so that those who listen notice it.
 */
const sweep = `
local function text(number) return string.format('%.0f', number) end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function leave(id)
  local meta = redis.call('HGET', KEYS[1], id) or ''
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('PUBLISH', ARGV[1], 'L0:' .. #id .. ':' .. id .. meta)
end
local fields = redis.call('HLEN', KEYS[1])
if math.max(1, fields) ~= redis.call('ZCARD', KEYS[2]) + 1 then
  -- One of them was evicted.
  redis.call('DEL', KEYS[1], KEYS[2])
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', text(now), 'LIMIT', 0, 1000)) do leave(id) end
`

/** ARGV: …, session, meta, expiry. */
export const setPresence = script(`${sweep}
local id, meta, expiry = ARGV[2], ARGV[3], tonumber(ARGV[4])
local known = redis.call('ZSCORE', KEYS[2], id) and redis.call('HGET', KEYS[1], id)
redis.call('HSETNX', KEYS[1], '', clock[1] .. '.' .. clock[2])
redis.call('HSET', KEYS[1], id, meta)
redis.call('ZADD', KEYS[2], text(now + expiry), id)
-- Later than the last session, so that there is time to tell that it has left.
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
redis.call('PEXPIREAT', KEYS[1], text(tonumber(last) + 60000))
redis.call('PEXPIREAT', KEYS[2], text(tonumber(last) + 60000))
if known ~= meta then
  redis.call('PUBLISH', ARGV[1], 'E' .. ARGV[4] .. ':' .. #id .. ':' .. id .. meta)
end
return {}
`)

/** ARGV: …, session. */
export const removePresence = script(`${sweep}
if redis.call('ZSCORE', KEYS[2], ARGV[2]) then leave(ARGV[2]) end
return {}
`)

/** Returns session, meta of each. */
export const listPresence = script(`${sweep}
local metas = redis.call('HGETALL', KEYS[1])
local byId = {}
for index = 1, #metas, 2 do byId[metas[index]] = metas[index + 1] end
local sessions = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. text(now), '+inf')) do
  if byId[id] then
    sessions[#sessions + 1] = id
    sessions[#sessions + 1] = byId[id]
  end
end
return sessions
`)

/** Returns the generation, or '' if there is none, and the milliseconds until the next session expires, or ''. */
export const sweepPresence = script(`${sweep}
local generation = redis.call('HGET', KEYS[1], '') or ''
local next = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
return {generation, next and text(math.max(0, tonumber(next) - now)) or ''}
`)
