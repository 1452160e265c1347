/**
 * What Effect 4 lacks. If it is installed, nothing of this package loads: the first import below fails before any code
 * runs. The message of Node, and of every bundler, has the path of this file, so the folder says what to install.
 */
export { InvalidData } from "effect/ConfigError"
export { none as noFiberId } from "effect/FiberId"
export {
  currentContext,
  currentLogAnnotations,
  currentRuntimeFlags,
  currentScheduler,
  interruptedCause
} from "effect/FiberRef"
export { getOrDefault as getFiberRef, unsafeMake as makeFiberRefs } from "effect/FiberRefs"
export { fromIterable as metricBoundaries } from "effect/MetricBoundaries"
export { interruptible as isInterruptible, Interruption } from "effect/RuntimeFlags"
export { isDone as isScheduleDone } from "effect/ScheduleDecision"
export { start as startOfIntervals } from "effect/ScheduleIntervals"
export { make as makeSubscribable } from "effect/Subscribable"
export { isCookies, parseHeader as parseCookieHeader, toCookieHeader } from "@effect/platform/Cookies"
export { fromInput as urlParamsFromInput } from "@effect/platform/UrlParams"
