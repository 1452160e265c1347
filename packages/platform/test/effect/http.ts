/** HTTP apps of `@effect/platform`. */
import { WebSocketUpgrade } from "@effect-websocket/platform/WebSocketUpgrade"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpLayerRouter,
  HttpMiddleware,
  HttpRouter,
  HttpServer,
  type HttpServerRequest,
  type HttpServerResponse
} from "@effect/platform"
import { Effect, Layer, type Scope } from "effect"

export { HttpServer, HttpServerRequest, HttpServerResponse } from "@effect/platform"

/** What `NodeHttpServer.layer` provides to an app. */
export type HttpServices = HttpServer.HttpServer | HttpRouter.HttpRouter.DefaultServices

/** How `NodeHttpServer` listens if a test is about what happens between the end of the app and that of the server. */
export const listening = { port: 0, host: "127.0.0.1" }

type Answer<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>

type RouteAnswer = Answer<never, HttpServerRequest.HttpServerRequest | Scope.Scope | WebSocketUpgrade>

export type Route = readonly [method: "*" | "GET", path: "*" | `/${string}`, answer: RouteAnswer]

export type Middleware = <E, R>(answer: Answer<E, R>) => Answer<E, R>

type App = Layer.Layer<never, never, HttpServices | WebSocketUpgrade>

/** A server of routes, behind a middleware that sees the answers of all of them. */
export const serveRoutes = (routes: ReadonlyArray<Route>, middleware: Middleware = (answer) => answer): App => {
  const router = routes.reduce(
    (router, [method, path, answer]) => HttpRouter.route(method)(router, path, answer),
    HttpRouter.empty as HttpRouter.HttpRouter<never, WebSocketUpgrade>
  )
  return HttpServer.serve(HttpRouter.use(router, middleware), HttpMiddleware.logger)
}

/** A server of an API with one endpoint, and of routes beside it. */
export const serveApi = (path: `/${string}`, answer: RouteAnswer, routes: ReadonlyArray<Route>): App => {
  const api = HttpApi.make("api").add(HttpApiGroup.make("group").add(HttpApiEndpoint.get("endpoint", path)))
  const beside = routes.map(([method, path, answer]) =>
    HttpApiBuilder.Router.use((router) =>
      Effect.flatMap(WebSocketUpgrade, (service) =>
        (method === "*" ? router.all : router.get)(path, Effect.provideService(answer, WebSocketUpgrade, service))
      )
    )
  )
  return HttpApiBuilder.serve().pipe(
    Layer.provide(Layer.mergeAll(Layer.empty, ...beside)),
    Layer.provide(HttpApiBuilder.api(api)),
    Layer.provide(HttpApiBuilder.group(api, "group", (handlers) => handlers.handleRaw("endpoint", () => answer)))
  )
}

/** Routes behind a middleware, without a server. */
export const routesInMemory = (routes: ReadonlyArray<Route>, middleware: Middleware = (answer) => answer) =>
  Effect.succeed(
    HttpRouter.use(
      routes.reduce(
        (router, [method, path, answer]) => HttpRouter.route(method)(router, path, answer),
        HttpRouter.empty as HttpRouter.HttpRouter<never, WebSocketUpgrade>
      ),
      middleware
    )
  )

/** A server of routes that are layers, and of routes beside an API that are added with the service. */
export const serveLayers = (routes: ReadonlyArray<Route>): App =>
  HttpLayerRouter.serve(
    Layer.mergeAll(Layer.empty, ...routes.map(([method, path, answer]) => HttpLayerRouter.add(method, path, answer)))
  )
