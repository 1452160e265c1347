import { rsv1 } from "../Frame.js"
import type { Role } from "../FrameDecoder.js"
import { resolveLimits, type Limits } from "../Limits.js"
import { Inbound } from "./Inbound.js"
import { makeReader, type Options as ReaderOptions } from "./makeReader.js"
import { Sender, type Options as SenderOptions } from "./Sender.js"

/** The part of `Connection.Options` that connections can have in common. */
interface Options extends ReaderOptions, SenderOptions {
  readonly limits?: Partial<Limits> | undefined
  readonly answerPings?: boolean | undefined
  readonly answerClose?: boolean | undefined
}

// Of those that serve no connection, at most this many are kept. Each chunk is decoded at once, so few are enough.
const maxSpareInbounds = 64
// A broadcast is encoded for all of its connections before it is written.
const maxSpareSenders = 1024

/**
 * The options of connections, and the decoders and senders of those that are at work. An idle connection needs neither, so
 * it takes little memory.
 */
export class ConnectionConfig {
  readonly role: Role
  readonly limits: Limits
  readonly framed: boolean
  readonly answersPings: boolean
  readonly answersClose: boolean
  /** One with opcodes of its own is rare, and suits no other connection. */
  readonly isShared: boolean
  private readonly options: Options
  private readonly compressed: boolean
  private readonly inbounds: Array<Inbound> = []
  private readonly senders: Array<Sender> = []

  constructor(options: Options, limits: Limits, compressed: boolean) {
    const { answerClose, answerPings, delivery, maskKey, maxCopiedBytes, maxFrameSize, maxSendBytes } = options
    const { opcodes = [], recordFrames, role, rsv } = options
    this.role = role
    this.limits = limits
    this.framed = delivery === "frames"
    if (!this.framed && ((rsv ?? 0) !== 0 || opcodes.length > 0)) {
      throw new RangeError('rsv and opcodes are for the delivery "frames" only')
    }
    this.answersPings = answerPings ?? true
    this.answersClose = answerClose ?? true
    this.compressed = compressed
    this.isShared = opcodes.length === 0
    // A copy, because the caller may change its options.
    this.options = {
      answerClose,
      answerPings,
      delivery,
      maskKey,
      maxCopiedBytes,
      maxFrameSize,
      maxSendBytes,
      opcodes: [...opcodes],
      recordFrames,
      role,
      rsv
    }
    // The first of each check the options.
    this.giveInbound(this.makeInbound())
    this.giveSender(this.makeSender())
  }

  /** Whether connections with these options behave the same. */
  suits(other: Options, limits: Limits, compressed: boolean): boolean {
    const { opcodes = [] } = other
    return (
      compressed === this.compressed &&
      opcodes.length === 0 &&
      sharedLimits.every((name) => limits[name] === this.limits[name]) &&
      sharedOptions.every((name) => other[name] === this.options[name])
    )
  }

  get maxFrameSize(): number {
    return this.options.maxFrameSize ?? Number.MAX_SAFE_INTEGER
  }

  get maxSendBytes(): number {
    return this.options.maxSendBytes ?? Number.MAX_SAFE_INTEGER
  }

  takeInbound(): Inbound {
    return this.inbounds.pop() ?? this.makeInbound()
  }

  /** Takes back what decodes nothing now. */
  giveInbound(inbound: Inbound): void {
    inbound.forgetHost()
    if (this.inbounds.length < maxSpareInbounds) this.inbounds.push(inbound)
  }

  takeSender(): Sender {
    return this.senders.pop() ?? this.makeSender()
  }

  /** Takes back what sends nothing now. */
  giveSender(sender: Sender): void {
    if (this.senders.length < maxSpareSenders) this.senders.push(sender)
  }

  private makeInbound(): Inbound {
    const { compressed, framed, limits, options, role } = this
    const { maxFrameBytes, maxMessageBytes } = limits
    const decoding = {
      role,
      maxFrameBytes: framed ? Math.min(maxFrameBytes, maxMessageBytes) : maxFrameBytes,
      rsv: compressed ? rsv1 : options.rsv,
      opcodes: options.opcodes
    }
    return new Inbound(decoding, (inflate) => makeReader(options, limits, compressed ? inflate : undefined))
  }

  private makeSender(): Sender {
    return new Sender(this.options, this.limits.maxBufferedControlFrames)
  }
}

const sharedLimits = ["maxMessageBytes", "maxFrameBytes", "maxFragments", "maxBufferedControlFrames"] as const

const sharedOptions = [
  "role",
  "delivery",
  "recordFrames",
  "rsv",
  "answerPings",
  "answerClose",
  "maxFrameSize",
  "maxSendBytes",
  "maxCopiedBytes",
  "maskKey"
] as const

// A program has few kinds of connections. They may alternate, as those of two servers do.
const maxRecent = 8
// Of each role, the last one first.
const recent: Readonly<Record<Role, Array<ConnectionConfig>>> = { client: [], server: [] }

/** Throws a `RangeError` for an option that is out of range or cannot be combined with another. */
export const configOf = (options: Options, compressed: boolean): ConnectionConfig => {
  const limits = resolveLimits(options.limits)
  const known = recent[options.role]
  const index = known.findIndex((config) => config.suits(options, limits, compressed))
  const config = known[index] ?? new ConnectionConfig(options, limits, compressed)
  if (index === 0 || !config.isShared) return config
  if (index > 0) known.splice(index, 1)
  known.unshift(config)
  if (known.length > maxRecent) known.pop()
  return config
}
