/** What a clause is, and the three kinds of its cases. */
import type { Frame } from "./Frame.js"
import type { Role } from "./Role.js"

/** The fields of an error that must be as they are here. */
export type ErrorFields = Readonly<Record<string, unknown>>

/** How a connection must end. `codes` are those that its Close may carry, 1005 for none. */
export interface End {
  readonly codes: ReadonlyArray<number>
  readonly error: ErrorFields
}

/** Bytes behind an opening handshake, to an endpoint that echoes every message. */
export interface Exchange {
  readonly kind: "exchange"
  readonly name: string
  /** The roles under test. */
  readonly roles: ReadonlyArray<Role>
  readonly input: (role: Role) => Uint8Array
  /** The messages that must come back, each a text or binary frame; and the pongs. Their order is only that of each kind. */
  readonly messages: ReadonlyArray<Frame>
  readonly pongs: ReadonlyArray<Frame>
  /** Without one the connection must still be open. */
  readonly end: End | undefined
  /** The permessage-deflate that is agreed on, as a header says it; without one, none is. */
  readonly deflate: string | undefined
  /** What the frames that the endpoint wrote must look like besides: what is wrong with them, or `undefined`. */
  readonly inspect: ((frames: ReadonlyArray<Frame>) => string | undefined) | undefined
}

/** An upgrade request to a server. */
export interface Request {
  readonly kind: "request"
  readonly name: string
  readonly head: string
  /** This library's; which of 400 to 499 refuses a request, the RFC leaves to the server. */
  readonly status: number
  /** Headers of the answer, names in lower case; `undefined` for one that must not be there, a function to check it. */
  readonly headers: Readonly<Record<string, string | undefined | ((value: string | undefined) => string | undefined)>>
  readonly error: ErrorFields | undefined
  /** Whether it needs a server that compresses. */
  readonly deflate: boolean
}

/** An answer to a client. */
export interface Response {
  readonly kind: "response"
  readonly name: string
  /** Given the accept value of the key, and the subprotocol that is chosen where the client offers it. */
  readonly head: (accept: string, protocol: string | undefined) => string
  readonly opens: boolean
  readonly error: ErrorFields | undefined
  /** Whether it needs a client that offers compression. */
  readonly deflate: boolean
}

/** What clients write in the heads of their requests, over some connections. */
export interface Observation {
  readonly kind: "observation"
  readonly name: string
  readonly connections: number
  /** What is wrong, or `undefined`. `url` is what the client was asked to connect to, where the driver knows that. */
  readonly check: (requests: ReadonlyArray<Head>, url: URL | undefined) => string | undefined
  readonly deflate: boolean
}

/** The head of a request or an answer. Names of headers are in lower case; one that comes twice is twice in the list. */
export interface Head {
  readonly line: string
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
}

export const headerOf = ({ headers }: Head, name: string): string | undefined =>
  headers.find(([candidate]) => candidate === name)?.[1]

export type Case = Exchange | Request | Response | Observation

export const rolesOf = (testCase: Case): ReadonlyArray<Role> =>
  testCase.kind === "exchange" ? testCase.roles : testCase.kind === "request" ? ["server"] : ["client"]

/** A rule, in words of our own, and the cases in which one can see whether it is kept. */
export interface Clause {
  readonly section: string
  readonly rule: string
  readonly cases: ReadonlyArray<Case>
}

/** A rule that no bytes can show to be kept. */
export interface Untested {
  readonly section: string
  readonly rule: string
  readonly reason: string
}
