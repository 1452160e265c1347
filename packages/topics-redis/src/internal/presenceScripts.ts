import { script } from "./Script.js"

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
