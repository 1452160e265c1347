import { script, type Script } from "./Script.js"
import type { TopicSettings } from "./settings.js"

/** The scripts about the topics of a broker. Its bounds are part of their sources, so that no call has to send and parse them. */
export interface TopicScripts {
  /** ARGV: …, channel, body, bytes of the message, 'k' and the idempotency key or ''. Returns epoch, offset, whether it is a duplicate. */
  readonly publish: Script
  /** Returns epoch, offset. */
  readonly position: Script
  /** ARGV: …, epoch and offset of the position to begin behind, or '' twice, limit. Returns epoch, offset, whether nothing is missing, the offset of the first body, bodies. */
  readonly history: Script
}

/** What exceeds a bound by no more than this is removed together with what comes later, so that few publishes have to remove something. */
const slackOf = (bound: number): number => Math.floor(bound / 16)

/**
 * How each script about a topic begins.
 *
 * KEYS: state (string), log (stream), sizes (list), ids (hash), idOrder (list).
 * ARGV: an unused epoch. Times are in milliseconds of the clock of the server.
 *
 * The ID of a publication in the stream is its offset. `sizes` has the time and the bytes of each publication in the stream, oldest
 * first, so that bounds are checked without reading messages.
 *
 * What costs in a script is each call of a command, and each string that Lua makes. So the state is one packed string, which one
 * command writes together with its expiry.
 */
const open = `
local call, pack, unpack = redis.call, struct.pack, struct.unpack
local function text(number) return string.format('%d', number) end
local clock = call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Another server after a failover, or after a restart: it may lack the newest publications, so the epoch ends.
local server = string.match(call('INFO', 'replication'), 'master_replid:(%x+)') or ''
-- oldest: the time of the first publication in the stream. expiry: when the stream and the list expire.
local offset, count, bytes, oldest, expiry, epoch, known = 0, 0, 0, 0, 0
local state = call('GET', KEYS[1])
if state then
  offset, count, bytes, oldest, expiry, epoch, known = unpack('<dddddss', state)
else
  -- What is left of a topic whose state was evicted.
  call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
end
if known ~= server then epoch = ARGV[1] end
`

const topicScript = ({ maxAge, maxBytes, maxPublications, unusedAge }: TopicSettings, source: string): Script =>
  script(`${open}
local function trim()
  local removed, isOver = 0, true
  while count > 0 and isOver do
    for _, each in ipairs(call('LRANGE', KEYS[3], removed, removed + 99)) do
      local time, size = unpack('<dI4', each)
      if count <= ${maxPublications} and bytes <= ${maxBytes} and time > now - ${maxAge} then
        oldest, isOver = time, false
        break
      end
      count, bytes, removed = count - 1, bytes - size, removed + 1
    end
  end
  if count == 0 then
    call('DEL', KEYS[2], KEYS[3])
  elseif removed > 0 then
    call('LTRIM', KEYS[3], removed, -1)
    call('XTRIM', KEYS[2], 'MINID', text(offset - count + 1))
  end
end

local function save()
  local packed = pack('<dddddss', offset, count, bytes, oldest, expiry, epoch, server)
  -- A server whose memory is full refuses SET, and who only reads must not need it.
  if packed == state then call('PEXPIRE', KEYS[1], '${unusedAge}')
  else call('SET', KEYS[1], packed, 'PX', '${unusedAge}') end
end
${source}`)

const findKnown = ({ maxKeyAge }: TopicSettings): string => `
local key, idExpiry = ARGV[5], nil
if key ~= '' then
  -- The field '' has the time when the keys expire. Without it, this is the first one, or one of them was evicted.
  local found = call('HMGET', KEYS[4], key, '')
  idExpiry = found[2] and tonumber(found[2])
  if found[1] then
    local knownOffset, time = unpack('<dd', found[1])
    if time > now - ${maxKeyAge} then
      save()
      return {epoch, text(knownOffset), '1'}
    end
  end
end
`

const addToHistory = ({ maxAge, maxBytes, maxPublications }: TopicSettings): string =>
  maxPublications === 0
    ? `
if count > 0 then
  call('DEL', KEYS[2], KEYS[3])
  count, bytes = 0, 0
end
`
    : `
local size, length = tonumber(ARGV[4]), 0
local entry = pack('<dI4', now, size)
if count > 0 and call('XADD', KEYS[2], 'NOMKSTREAM', id, 'm', body) then length = call('RPUSHX', KEYS[3], entry) end
if length ~= count + 1 or count == 0 then
  -- The first one, or one of the keys has expired or was evicted.
  call('DEL', KEYS[2], KEYS[3])
  call('XADD', KEYS[2], id, 'm', body)
  call('RPUSH', KEYS[3], entry)
  count, bytes, oldest, expiry = 0, 0, now, 0
end
count, bytes = count + 1, bytes + size
if count > ${maxPublications + slackOf(maxPublications)} or bytes > ${maxBytes + slackOf(maxBytes)} or oldest <= now - ${maxAge + slackOf(maxAge)} then
  trim()
end
if expiry < now + ${maxAge} and count > 0 then
  expiry = now + ${maxAge + slackOf(maxAge)}
  call('PEXPIRE', KEYS[2], '${maxAge + slackOf(maxAge)}')
  call('PEXPIRE', KEYS[3], '${maxAge + slackOf(maxAge)}')
end
`

const remember = ({ maxKeyAge, maxKeys }: TopicSettings): string => `
if key ~= '' then
  local value = pack('<dd', offset, now)
  local length = idExpiry and call('RPUSHX', KEYS[5], value .. key) or 0
  if length == 0 then
    call('DEL', KEYS[4], KEYS[5])
    call('RPUSH', KEYS[5], value .. key)
    length, idExpiry = 1, 0
  end
  local function forget()
    local first = call('LPOP', KEYS[5])
    local id = string.sub(first, 17)
    -- The key may have been used again after its time.
    if call('HGET', KEYS[4], id) == string.sub(first, 1, 16) then call('HDEL', KEYS[4], id) end
    length = length - 1
  end
  call('HSET', KEYS[4], key, value)
  while length > ${maxKeys} do forget() end
  if idExpiry < now + ${maxKeyAge} then
    for _ = 1, 1000 do
      local _, time = unpack('<dd', call('LINDEX', KEYS[5], 0))
      if time > now - ${maxKeyAge} then break end
      forget()
    end
    call('HSET', KEYS[4], '', text(now + ${maxKeyAge + slackOf(maxKeyAge)}))
    call('PEXPIRE', KEYS[4], '${maxKeyAge + slackOf(maxKeyAge)}')
    call('PEXPIRE', KEYS[5], '${maxKeyAge + slackOf(maxKeyAge)}')
  end
end
`

const publish = (settings: TopicSettings): string => `
local body = ARGV[3]
${findKnown(settings)}
offset = offset + 1
local id = text(offset)
${addToHistory(settings)}
${remember(settings)}
save()
call('PUBLISH', ARGV[2], 'P' .. epoch .. ' ' .. id .. ' ' .. body)
return {epoch, id, '0'}
`

const position = `
save()
return {epoch, text(offset)}
`

const history = `
local sinceEpoch, since, limit = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if count ~= call('XLEN', KEYS[2]) or count ~= call('LLEN', KEYS[3]) then
  -- One of them has expired or was evicted.
  call('DEL', KEYS[2], KEYS[3])
  count, bytes = 0, 0
end
trim()
save()
if not since then
  since = offset - math.min(count, limit)
elseif sinceEpoch ~= epoch or since > offset or since < offset - count then
  return {epoch, text(offset), '0', text(offset + 1)}
end
local page = {epoch, text(offset), '1', text(since + 1)}
for _, entry in ipairs(call('XRANGE', KEYS[2], text(since + 1), '+', 'COUNT', limit)) do
  page[#page + 1] = entry[2][2]
end
return page
`

export const topicScripts = (settings: TopicSettings): TopicScripts => ({
  publish: topicScript(settings, publish(settings)),
  position: topicScript(settings, position),
  history: topicScript(settings, history)
})

/** KEYS: those of a topic. ARGV: channel. Tells all subscriptions. */
export const remove = script(`
redis.call('DEL', unpack(KEYS))
redis.call('PUBLISH', ARGV[1], 'R')
return {}
`)
