import type { Span } from "effect/Tracer"
import { unguarded } from "../engine/connection/GuardedTransport.js"
import type { Transport } from "../Transport.js"
import type { AnyWebSocket } from "../WebSocket.js"
import { transportKey } from "./typeId.js"

// By the transport, so that a connection without a span has no place for one.
const spans = new WeakMap<Transport, Span>()

/** Remembers the span of the handshake that led to a transport. */
export const rememberSpan = (transport: Transport, span: Span): void => void spans.set(unguarded(transport), span)

/** The span of the handshake of a connection. */
export const spanOf = (socket: AnyWebSocket): Span | undefined =>
  hasTransport(socket) ? spans.get(unguarded(socket[transportKey])) : undefined

const hasTransport = (socket: object): socket is { readonly [transportKey]: Transport } => transportKey in socket
