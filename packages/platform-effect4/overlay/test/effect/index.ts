/**
 * The modules of Effect in which Effect 3 and Effect 4 differ. The few names that Effect 4 lacks are those of Effect 3, or have been
 * made for the tests.
 */
export * as Cause from "./Cause.js"
export * as Clock from "./Clock.js"
export * as Config from "./Config.js"
export * as ConfigProvider from "./ConfigProvider.js"
export * as Context from "./Context.js"
export * as Deferred from "./Deferred.js"
export * as Duration from "./Duration.js"
export * as Effect from "./Effect.js"
export * as Exit from "./Exit.js"
export * as Fiber from "./Fiber.js"
export * as Layer from "./Layer.js"
export * as Logger from "./Logger.js"
export * as Metric from "./Metric.js"
export * as Queue from "./Queue.js"
export * as Scheduler from "./Scheduler.js"
export * as Scope from "./Scope.js"
export * as Stream from "./Stream.js"
export * as Supervisor from "./Supervisor.js"
export * as TestClock from "./TestClock.js"
