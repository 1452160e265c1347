/** What subscribers may see, given what was published. It knows nothing of processes and time. */
import type { TopicBroker } from "@effect-websocket/platform"
import type { Begin, Element } from "./programs/protocol.js"

type Position = TopicBroker.Position

/** A rule of the run was broken. */
export class Violation extends Error {
  readonly rule: string
  /** Whose log it is in. */
  readonly subject: string

  constructor(rule: string, subject: string, detail: string) {
    super(`${rule}: ${detail}`)
    this.rule = rule
    this.subject = subject
  }
}

/** A message that the run had published, perhaps more than once with the same idempotency key. Its text names it. */
export interface Publication {
  readonly text: string
  readonly topic: string
  /** Whether the subscribers of the client that publishes it get it, too. */
  readonly echo: boolean
  /** Who has tried. */
  readonly publishers: Set<string>
  /** How often it was tried. */
  attempts: number
  /** A publish of it has succeeded. */
  isAcknowledged: boolean
  /** The subscriptions of the client at that time, which are not to get it without an echo. */
  readonly listening: ReadonlyArray<Subscription>
}

/** One subscription of a log, which begins again when its process was killed. */
interface Subscription {
  readonly log: SubscriberLog
  readonly life: number
}

const show = ({ epoch, offset }: Position): string => `${epoch.slice(0, 4)}:${offset}`

/** All publications of the run, and where they were seen. */
export class Ledger {
  private readonly keepsData: boolean
  private readonly publications = new Map<string, Publication>()
  // By topic and epoch. If the engine keeps its data, offsets mean the same in all epochs.
  private readonly byOffset = new Map<string, Map<number, string>>()
  private readonly byText = new Map<string, Map<string, number>>()
  private readonly acknowledged = new Map<string, Map<number, string>>()

  /** `keepsData`: nothing that was acknowledged is ever lost, although epochs may end. */
  constructor(keepsData: boolean) {
    this.keepsData = keepsData
  }

  add(publication: Publication): void {
    this.publications.set(publication.text, publication)
  }

  get(text: string): Publication | undefined {
    return this.publications.get(text)
  }

  at(topic: string, position: Position): Publication | undefined {
    const text = this.byOffset.get(this.lifeOf(topic, position))?.get(position.offset)
    return text === undefined ? undefined : this.publications.get(text)
  }

  private lifeOf(topic: string, { epoch }: Position): string {
    return this.keepsData ? topic : `${topic} ${epoch}`
  }

  /** A publish has succeeded. */
  acknowledge(subject: string, publication: Publication, position: Position): void {
    publication.isAcknowledged = true
    this.see(subject, publication.topic, position, publication.text)
    mapAt(this.acknowledged, this.lifeOf(publication.topic, position)).set(position.offset, publication.text)
  }

  /** Somebody has seen a publication at a position. */
  see(subject: string, topic: string, position: Position, text: string): Publication {
    const publication = this.publications.get(text)
    if (publication?.topic !== topic) throw new Violation("nobody published this", subject, `${text} in ${topic}`)
    const life = this.lifeOf(topic, position)
    const texts = mapAt(this.byOffset, life)
    const other = texts.get(position.offset)
    if (other !== undefined && other !== text) {
      throw new Violation("a position has one publication", subject, `${show(position)} has ${other} and ${text}`)
    }
    texts.set(position.offset, text)
    const offsets = mapAt(this.byText, life)
    const known = offsets.get(text)
    if (known !== undefined && known !== position.offset) {
      throw new Violation("a publication is published once", subject, `${text} is at ${known} and ${show(position)}`)
    }
    offsets.set(text, position.offset)
    return publication
  }

  /** The whole history of a topic, whose last publication is at `newest`. */
  history(subject: string, topic: string, newest: Position, texts: ReadonlyArray<string>): void {
    const first = newest.offset - texts.length + 1
    for (const [index, text] of texts.entries()) {
      this.see(subject, topic, { epoch: newest.epoch, offset: first + index }, text)
    }
    for (const [offset, text] of this.acknowledged.get(this.lifeOf(topic, newest)) ?? []) {
      if (texts[offset - first] === text) continue
      const detail = `${text} at ${offset} of ${first} to ${newest.offset}`
      throw new Violation("what was acknowledged is in the history", subject, detail)
    }
  }

  /** Whether a client has published something in a topic whose outcome nobody knows. */
  hasUnknown(topic: string, client: string): boolean {
    for (const each of this.publications.values()) {
      if (each.topic === topic && !each.isAcknowledged && each.publishers.has(client)) return true
    }
    return false
  }
}

const mapAt = <K, V>(maps: Map<string, Map<K, V>>, key: string): Map<K, V> => {
  let map = maps.get(key)
  if (map === undefined) {
    map = new Map()
    maps.set(key, map)
  }
  return map
}

/** Where the log of a subscriber lacks publications without a gap. They have to be its own. */
interface Hole {
  readonly epoch: string
  readonly first: number
  readonly last: number
}

/** What one subscriber was told. It may end and begin again, with the last position that it was told. */
export class SubscriberLog {
  /** The program, and the id of its newest subscription. */
  subject: string
  readonly topic: string
  /** The client whose own publications it does not get; `undefined` if it gets all. */
  readonly client: string | undefined
  /** Behind everything that it was told. `undefined` until it has begun. */
  position: Position | undefined = undefined
  /** How often it was told that publications are missing. */
  gaps = 0
  private readonly ledger: Ledger
  private begin: Begin | undefined = {}
  private readonly epochs = new Set<string>()
  private holes: Array<Hole> = []
  // Own publications that it got.
  private returned: Array<{ readonly publication: Publication; readonly life: number }> = []
  private life = 0

  constructor(ledger: Ledger, subject: string, topic: string, client: string | undefined) {
    this.ledger = ledger
    this.subject = subject
    this.topic = topic
    this.client = client
  }

  /** The next element says how it begins. */
  begins(begin: Begin): void {
    this.begin = begin
    this.life++
  }

  /** The subscription, if it has begun. */
  get subscription(): Subscription | undefined {
    return this.begin === undefined ? { log: this, life: this.life } : undefined
  }

  take({ position, tag, text }: Element): void {
    const { begin, position: before } = this
    if (tag === "Publication") {
      if (begin !== undefined) throw this.violation("the first element says how it begins", position)
      this.follow(position, text ?? "")
    } else if (tag === "Gap") {
      // The history of a run is never trimmed.
      const missing = begin === undefined ? before : begin.since
      if (missing === undefined || missing.epoch === position.epoch) {
        throw this.violation("a gap has a reason", position)
      }
      this.gaps++
      if (this.epochs.has(position.epoch)) throw this.violation("an epoch that has ended does not return", position)
    } else if (begin === undefined) {
      throw this.violation("it begins once", position)
    } else if ((tag === "Recovered") !== (begin.since !== undefined)) {
      throw this.violation("it begins as it was asked to", position)
    } else if (
      tag === "Recovered" &&
      (begin.since?.epoch !== position.epoch || begin.since.offset !== position.offset)
    ) {
      throw this.violation("it recovers from the position that it named", position)
    }
    this.begin = undefined
    this.position = position
    this.epochs.add(position.epoch)
  }

  private follow(position: Position, text: string): void {
    const { client, position: before } = this
    if (before?.epoch !== position.epoch) throw this.violation("a new epoch begins with a gap", position)
    if (position.offset <= before.offset) throw this.violation("nothing is repeated, and the order is kept", position)
    if (position.offset > before.offset + 1) {
      if (client === undefined) throw this.violation("nothing is missing without a gap", position)
      this.holes.push({ epoch: position.epoch, first: before.offset + 1, last: position.offset - 1 })
    }
    const publication = this.ledger.see(this.subject, this.topic, position, text)
    if (!publication.echo && client !== undefined && publication.publishers.has(client)) {
      this.returned.push({ publication, life: this.life })
    }
  }

  /** Everything that was published is known: whatever it lacks without a gap has to be its own. */
  settle(newest: Position): void {
    const { position } = this
    if (position !== undefined && position.epoch === newest.epoch && position.offset > newest.offset) {
      throw this.violation("nothing is ahead of the topic", newest)
    }
    for (const { epoch, first, last } of this.holes) {
      for (let offset = first; offset <= last; offset++) this.checkOwn({ epoch, offset })
    }
    this.holes = []
    for (const { life, publication } of this.returned) {
      const { attempts, isAcknowledged, listening, text } = publication
      // After a failure its client cannot know its position.
      if (attempts > 1 || !isAcknowledged) continue
      if (listening.some((each) => each.log === this && each.life === life)) {
        throw new Violation("a client does not get its own publications", this.subject, text)
      }
    }
    this.returned = []
  }

  private checkOwn(position: Position): void {
    const client = this.client ?? ""
    const publication = this.ledger.at(this.topic, position)
    const isOwn =
      publication === undefined
        ? this.ledger.hasUnknown(this.topic, client)
        : !publication.echo && publication.publishers.has(client)
    if (!isOwn) throw this.violation("nothing is missing without a gap, except what it published itself", position)
  }

  private violation(rule: string, position: Position): Violation {
    const before = this.position === undefined ? "the beginning" : show(this.position)
    return new Violation(rule, this.subject, `${show(position)} behind ${before}`)
  }
}
