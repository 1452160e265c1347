export { schedulerOver } from "./effect.js"
