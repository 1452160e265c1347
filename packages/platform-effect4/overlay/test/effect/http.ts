/** HTTP apps of `effect/http`. */
import type { WebSocketUpgrade } from "@effect-websocket/platform/WebSocketUpgrade"
import type { NodeHttpServer } from "@effect/platform-node"
import { type Effect, Layer, type Scope } from "effect"
import { HttpRouter, type HttpServerRequest, type HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

export { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"

/** What `NodeHttpServer.layer` provides to an app. */
export type HttpServices = Layer.Success<ReturnType<typeof NodeHttpServer.layer>>

/** How `NodeHttpServer` listens if a test is about what happens between the end of the app and that of the server. */
export const listening = { port: 0, host: "127.0.0.1", disablePreemptiveShutdown: true }

type Answer<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>

type RouteAnswer = Answer<never, HttpServerRequest.HttpServerRequest | Scope.Scope | WebSocketUpgrade>

export type Route = readonly [method: "*" | "GET", path: "*" | `/${string}`, answer: RouteAnswer]

export type Middleware = <E, R>(answer: Answer<E, R>) => Answer<E, R>

type App = Layer.Layer<never, never, HttpServices | WebSocketUpgrade>

const layerOf = (routes: ReadonlyArray<Route>) =>
  Layer.mergeAll(Layer.empty, ...routes.map(([method, path, answer]) => HttpRouter.add(method, path, answer)))

/**
 * A server of routes, behind a middleware that sees the answers of all of them. It is not a global one, because Effect 4 does
 * not interrupt those.
 */
export const serveRoutes = (routes: ReadonlyArray<Route>, middleware: Middleware = (answer) => answer): App =>
  HttpRouter.serve(Layer.provide(layerOf(routes), HttpRouter.middleware(middleware).layer))

/** A server of an API with one endpoint, and of routes beside it. */
export const serveApi = (path: `/${string}`, answer: RouteAnswer, routes: ReadonlyArray<Route>): App => {
  const api = HttpApi.make("api").add(HttpApiGroup.make("group").add(HttpApiEndpoint.get("endpoint", path)))
  const group = HttpApiBuilder.group(api, "group", (handlers) => handlers.handleRaw("endpoint", () => answer))
  return HttpRouter.serve(Layer.merge(layerOf(routes), Layer.provide(HttpApiBuilder.layer(api), group)))
}

/** Routes behind a middleware, without a server. */
export const routesInMemory = (routes: ReadonlyArray<Route>, middleware: Middleware = (answer) => answer) =>
  HttpRouter.toHttpEffect(Layer.provide(layerOf(routes), HttpRouter.middleware(middleware).layer))

/** A server of routes that are layers. */
export const serveLayers = (routes: ReadonlyArray<Route>): App => HttpRouter.serve(layerOf(routes))
