/** The types of a clause and of its cases. */
import type { Frame } from "./Frame.js"
import type { Role } from "./Role.js"

/** Fields that an error must have, with their values. */
export type ErrorFields = Readonly<Record<string, unknown>>

/** How a connection must end. `codes` lists the codes that its Close may have, 1005 for no code. */
export interface End {
  readonly codes: ReadonlyArray<number>
  readonly error: ErrorFields
}

/** Bytes after an opening handshake, sent to an endpoint that echoes every message. */
export interface Exchange {
  readonly kind: "exchange"
  readonly name: string
  /** The roles under test. */
  readonly roles: ReadonlyArray<Role>
  readonly input: (role: Role) => Uint8Array
  /**
   * The messages that must come back, each as a text or binary frame, and the pongs. Only the order within each kind
   * matters.
   */
  readonly messages: ReadonlyArray<Frame>
  readonly pongs: ReadonlyArray<Frame>
  /** If undefined, the connection must still be open. */
  readonly end: End | undefined
  /** The negotiated permessage-deflate, as a header value. If undefined, there is no compression. */
  readonly deflate: string | undefined
  /** A further check of the frames that the endpoint wrote. Returns what is wrong with them, or `undefined`. */
  readonly inspect: ((frames: ReadonlyArray<Frame>) => string | undefined) | undefined
}

/** An upgrade request to a server. */
export interface Request {
  readonly kind: "request"
  readonly name: string
  readonly head: string
  /** The status of this library. The RFC lets a server refuse with any status from 400 to 499. */
  readonly status: number
  /**
   * Headers of the answer, with names in lower case. `undefined` means that the header must be absent; a function
   * checks it.
   */
  readonly headers: Readonly<Record<string, string | undefined | ((value: string | undefined) => string | undefined)>>
  readonly error: ErrorFields | undefined
  /** Whether the case needs a server that compresses. */
  readonly deflate: boolean
}

/** An answer to a client. */
export interface Response {
  readonly kind: "response"
  readonly name: string
  /** Takes the accept value of the key, and the subprotocol to choose if the client offers it. */
  readonly head: (accept: string, protocol: string | undefined) => string
  readonly opens: boolean
  readonly error: ErrorFields | undefined
  /** Whether the case needs a client that offers compression. */
  readonly deflate: boolean
}

/** A check of the request heads that a client writes, over several connections. */
export interface Observation {
  readonly kind: "observation"
  readonly name: string
  readonly connections: number
  /** Returns what is wrong, or `undefined`. `url` is the client's target, if the driver knows it. */
  readonly check: (requests: ReadonlyArray<Head>, url: URL | undefined) => string | undefined
  readonly deflate: boolean
}

/**
 * The head of a request or an answer. Header names are in lower case. A repeated header appears repeatedly in the list.
 */
export interface Head {
  readonly line: string
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
}

export const headerOf = ({ headers }: Head, name: string): string | undefined =>
  headers.find(([candidate]) => candidate === name)?.[1]

export type Case = Exchange | Request | Response | Observation

export const rolesOf = (testCase: Case): ReadonlyArray<Role> =>
  testCase.kind === "exchange" ? testCase.roles : testCase.kind === "request" ? ["server"] : ["client"]

/** A rule, in our own words, and the cases that test it. */
export interface Clause {
  readonly section: string
  readonly rule: string
  readonly cases: ReadonlyArray<Case>
}

/** A rule that no exchange of bytes can test. */
export interface Untested {
  readonly section: string
  readonly rule: string
  readonly reason: string
}
