import * as CookieJar from "@effect-websocket/platform/CookieJar"
import * as NodeWebSocketClient from "@effect-websocket/platform/node/NodeWebSocketClient"
import * as NodeWebSocketServer from "@effect-websocket/platform/node/NodeWebSocketServer"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import type { WebSocketError } from "@effect-websocket/protocol/Errors"
import type * as Message from "@effect-websocket/protocol/Message"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as cookieFile from "./cookieFile.js"
import { exitCodes } from "./ExitCode.js"
import { Failure } from "./Failure.js"
import {
  client,
  clientOptions,
  common,
  count,
  duration,
  listenOptions,
  onOff,
  type ClientValues,
  type CommonValues
} from "./flags.js"
import * as Format from "./Format.js"
import * as Peer from "./Peer.js"
import * as Screen from "./Screen.js"
import * as session from "./session.js"
import { tooLarge } from "./Splitter.js"
import { makeOutput, read, type Output } from "./streams.js"

const usage = (message: string): Failure => new Failure({ exitCode: exitCodes.usage, message })

/** Options that the library refuses, such as a certificate that is none, come from the command line here. */
const refusedOptions = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | Failure, R> =>
  Effect.catchDefect(effect, (defect) => Effect.fail(usage(defect instanceof Error ? defect.message : String(defect))))

/** Runs with stdout, until all has been written or nobody reads it any more. */
const withOutput = <E, R>(use: (output: Output) => Effect.Effect<void, E, R>): Effect.Effect<void, E | Failure, R> =>
  Effect.suspend(() => {
    const output = makeOutput(process.stdout)
    return Effect.raceFirst(Effect.andThen(use(output), output.flush), output.ended)
  })

const withScreen = <E, R>(
  values: CommonValues,
  use: (screen: Screen.Screen) => Effect.Effect<void, E, R>
): Effect.Effect<void, E | Failure, Exclude<R, Scope.Scope>> =>
  withOutput((output) => Effect.scoped(Effect.flatMap(Screen.make(values, output), use)))

/** Runs with a client of the options, and with the jar, which is saved at the end. */
const withClient = <E, R>(
  values: ClientValues,
  use: Effect.Effect<void, E, R>
): Effect.Effect<void, E | Failure, Exclude<R, WebSocketClient.WebSocketClient>> =>
  Effect.gen(function* () {
    const options = yield* clientOptions(values)
    const service = yield* refusedOptions(NodeWebSocketClient.make(options))
    const provided = Effect.provideService(use, WebSocketClient.WebSocketClient, service)
    if (Option.isNone(values.cookieJar)) return yield* provided
    const jar = yield* cookieFile.make(values.cookieJar.value)
    const exit = yield* Effect.exit(Effect.provideService(provided, CookieJar.CookieJar, jar.service))
    yield* jar.save
    return yield* exit
  })

const connectSocket = (
  url: string,
  values: ClientValues,
  screen: Screen.Screen
): Effect.Effect<WebSocket.WebSocket, WebSocketError, WebSocketClient.WebSocketClient | Scope.Scope> =>
  Effect.gen(function* () {
    const connecting = WebSocketClient.connect(url, { recordFrames: values.frames })
    const [time, socket] = yield* Effect.timed(connecting).pipe(
      Effect.tapError((error) => Effect.sync(() => Peer.showRejection(error, screen)))
    )
    yield* Peer.observe(socket, screen, values.verbose, `connected to ${socket.url} in ${Peer.millis(time)}`)
    return socket
  })

const url = Argument.String("url").pipe(
  Argument.withDescription("ws://…, wss://… or ws+unix:///path/to.sock:/request/path")
)

const wait = duration(
  "wait",
  "1s",
  "Once stdin has ended, the time without a message after which the connection is closed; infinite leaves it to the peer"
)

const connect = Command.make(
  "connect",
  {
    url,
    ...common,
    ...client,
    wait,
    reconnect: onOff("reconnect", "Connect again after failures, and keep what is to be sent until then")
  },
  (values) =>
    withScreen(values, (screen) =>
      withClient(
        values,
        Effect.scoped(
          Effect.gen(function* () {
            const peer = values.reconnect
              ? yield* Peer.reconnecting(values.url, values.frames, screen, values.verbose)
              : Peer.single(yield* connectSocket(values.url, values, screen))
            yield* session.run(peer, screen, values.wait)
          })
        )
      )
    )
).pipe(
  Command.withDescription(
    "Connects. At a terminal, each line that you type is a message, and /help lists commands. In a pipe, stdin is sent and stdout has what is received."
  ),
  Command.withExamples([
    { command: "effect-websocket connect wss://example.com/chat", description: "Talk to a server" },
    { command: "jq -c . *.json | effect-websocket connect -f json wss://example.com/feed", description: "Pipe" }
  ])
)

/** The message of a command line, or all of stdin. */
const messagesToSend = (
  { format, maxMessageBytes }: CommonValues,
  given: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Message.Message>, Failure> =>
  Effect.gen(function* () {
    const records = given.length === 0 ? [yield* readAll(maxMessageBytes)] : given.map((text) => Buffer.from(text))
    return yield* Effect.forEach(records, (record) => {
      const message = Format.parse(format, record)
      return message instanceof Failure ? Effect.fail(message) : Effect.succeed(message)
    })
  })

const readAll = (maxBytes: number): Effect.Effect<Uint8Array, Failure> =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    let held = 0
    while (true) {
      const chunk = yield* read(process.stdin)
      if (chunk === undefined) return Buffer.concat(chunks)
      chunks.push(chunk)
      held += chunk.length
      if (held > maxBytes) return yield* tooLarge(maxBytes)
    }
  })

const send = Command.make(
  "send",
  {
    url,
    messages: Argument.String("message").pipe(
      Argument.withDescription("The messages; all of stdin is one message if there are none"),
      Argument.variadic()
    ),
    ...common,
    ...client,
    replies: count("replies", 0, 1, "The number of messages to wait for").pipe(Flag.withAlias("n")),
    timeout: duration("timeout", "10s", "The time limit of the wait for the replies")
  },
  (values) =>
    withOutput((output) =>
      Effect.gen(function* () {
        const messages = yield* messagesToSend(values, values.messages)
        const screen = Screen.makePipe(values, output)
        const exchange = Effect.gen(function* () {
          const socket = yield* connectSocket(values.url, values, screen)
          yield* socket.sendAll(messages)
          const replies = Effect.gen(function* () {
            for (let count = 0; count < values.replies; count++) {
              const reply = yield* socket.receiveOption
              if (reply._tag === "None") {
                const message = `The peer closed after ${count} of ${values.replies} replies`
                return yield* new Failure({ exitCode: exitCodes.noReply, message })
              }
              Peer.showFrames(reply.value, screen)
              yield* screen.received(reply.value)
            }
          })
          yield* Effect.timeoutOrElse(replies, {
            duration: values.timeout,
            orElse: () => {
              const message = `There is no reply within ${Duration.format(values.timeout)}`
              return Effect.fail(new Failure({ exitCode: exitCodes.timeout, message }))
            }
          })
        })
        yield* withClient(values, Effect.scoped(exchange))
      })
    )
).pipe(
  Command.withDescription("Sends messages, prints the replies, and closes"),
  Command.withExamples([
    { command: "effect-websocket send wss://example.com/echo hello", description: "Send one and wait for one" }
  ])
)

/** Sends each input to all who are connected, and waits while nobody is. */
const relay = (
  sockets: ReadonlySet<WebSocket.WebSocket>,
  arrived: () => Deferred.Deferred<void>,
  screen: Screen.Screen
): Effect.Effect<void, WebSocketError | Failure, Scope.Scope> =>
  screen.run((input) =>
    Effect.gen(function* () {
      if (sockets.size === 0 && !screen.isInteractive) yield* Deferred.await(arrived())
      if (input._tag === "Message") return yield* WebSocket.broadcast(sockets, input.message)
      yield* Effect.forEach([...sockets], (socket) => session.perform(input, Peer.single(socket), screen), {
        concurrency: "unbounded",
        discard: true
      })
    })
  )

const serve = (
  screen: Screen.Screen,
  values: CommonValues & { readonly echo: boolean }
): Effect.Effect<void, WebSocketError | Failure, WebSocketServer.WebSocketServer | Scope.Scope> =>
  Effect.gen(function* () {
    const sockets = new Set<WebSocket.WebSocket>()
    let arrived = Deferred.makeUnsafe<void>()
    let count = 0
    const handle = (socket: WebSocket.WebSocket) =>
      Effect.gen(function* () {
        const name = `#${++count}`
        yield* Peer.observe(socket, screen, values.verbose, "connected", `${name} `)
        sockets.add(socket)
        yield* Effect.addFinalizer(() => Effect.sync(() => sockets.delete(socket)))
        Deferred.doneUnsafe(arrived, Effect.void)
        arrived = Deferred.makeUnsafe<void>()
        yield* socket.run((message) => {
          Peer.showFrames(message, screen)
          const received = screen.received(message, name)
          return values.echo ? Effect.andThen(received, socket.send(message)) : received
        })
      })
    const failed = yield* Deferred.make<never, Failure>()
    const serving = WebSocketServer.run(handle, {
      recordFrames: values.frames,
      // The end of a connection is shown already. A message that cannot be written or decoded ends the command.
      onError: (error) => (error instanceof Failure ? Deferred.fail(failed, error) : Effect.void)
    })
    // A person ends the server with the input. In a pipe, clients may still answer what it sent.
    const reading = Effect.andThen(
      relay(sockets, () => arrived, screen),
      screen.isInteractive ? Effect.void : Effect.never
    )
    const input = values.echo ? Effect.never : reading
    yield* Effect.raceFirst(Effect.raceFirst(serving, Deferred.await(failed)), input)
  })

/** The first connection, as `connect` has one. */
const serveOnce = (screen: Screen.Screen, values: CommonValues & { readonly wait: Duration.Duration }) =>
  Effect.gen(function* () {
    const socket = yield* WebSocketServer.accept({ recordFrames: values.frames })
    yield* WebSocketServer.stop
    yield* Peer.observe(socket, screen, values.verbose)
    yield* session.run(Peer.single(socket), screen, values.wait)
  })

const listen = Command.make(
  "listen",
  {
    port: Argument.Int("port").pipe(
      Argument.withDescription("The port; 0 for a free one. None with --unix-socket"),
      Argument.optional
    ),
    ...common,
    host: Flag.String("host").pipe(
      Flag.withDescription("The address to listen on; default 127.0.0.1"),
      Flag.withDefault("127.0.0.1")
    ),
    echo: onOff("echo", "Answer each message with itself, and read no input"),
    once: onOff("once", "Serve one connection only, as connect does, and end with it"),
    anyOrigin: onOff("any-origin", "Accept pages of any origin, and not only those of the same one"),
    wait
  },
  (values) =>
    withScreen(values, (screen) =>
      Effect.gen(function* () {
        const { echo, host, once, unixSocket } = values
        const port = Option.getOrUndefined(values.port)
        const socketPath = Option.getOrUndefined(unixSocket)
        if ((port === undefined) === (socketPath === undefined)) {
          return yield* usage("Exactly one of a port and --unix-socket is needed")
        }
        if (echo && once) return yield* usage("--echo and --once do not go together")
        const options = yield* listenOptions(values)
        const server = yield* refusedOptions(
          NodeWebSocketServer.make(
            socketPath === undefined ? { ...options, host, port: port! } : { ...options, socketPath }
          )
        )
        // A program that starts the command waits for this line.
        const announce = screen.isInteractive ? screen.note : screen.warn
        announce(`listening on ${server.address.url}`)
        yield* Effect.provideService(
          once ? serveOnce(screen, values) : serve(screen, values),
          WebSocketServer.WebSocketServer,
          server
        )
      })
    )
).pipe(
  Command.withDescription(
    "Listens. What is typed or piped goes to every client, and what clients send is shown; or --echo"
  ),
  Command.withExamples([{ command: "effect-websocket listen 8080", description: "Talk to those who connect" }])
)

/** The whole command. */
export const command = Command.make("effect-websocket").pipe(
  Command.withDescription("WebSocket connections and servers at the command line"),
  Command.withSubcommands([connect, send, listen])
)
