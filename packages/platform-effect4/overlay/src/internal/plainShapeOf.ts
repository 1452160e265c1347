import type * as AST from "effect/SchemaAST"
import {
  anything,
  array,
  literal,
  primitive,
  record,
  union,
  type PlainProperty,
  type PlainShape
} from "./plainShape.js"

/** The shape of a schema that only validates. `undefined` if it transforms or checks values, or is of a kind that JSON lacks. */
export const plainShapeOf = (ast: AST.AST): PlainShape | undefined => {
  if (ast.encoding !== undefined || ast.checks !== undefined) return undefined
  if ("encodingChecks" in ast && ast.encodingChecks !== undefined) return undefined
  switch (ast._tag) {
    case "String":
      return primitive((value) => typeof value === "string")
    case "Number":
      return primitive((value) => typeof value === "number")
    case "Boolean":
      return primitive((value) => typeof value === "boolean")
    case "Null":
      return literal(null)
    case "Undefined":
      return literal(undefined)
    case "Literal":
      return literal(ast.literal)
    case "Unknown":
    case "Any":
      return anything
    case "Union": {
      // A value that two members accept is invalid then.
      if (ast.options?.mode === "oneOf") return undefined
      const members = allOf(ast.types)
      return members && union(members)
    }
    case "Arrays": {
      const [rest, ...behind] = ast.rest
      const elements = allOf(ast.elements)
      if (elements === undefined || behind.length > 0 || ast.elements.some(isOptional)) return undefined
      if (rest === undefined) return array(elements, undefined)
      const shape = plainShapeOf(rest)
      return shape && array(elements, shape)
    }
    case "Objects":
      return recordOf(ast)
    default:
      return undefined
  }
}

const recordOf = ({ indexSignatures, propertySignatures }: AST.Objects): PlainShape | undefined => {
  const [index, ...others] = indexSignatures
  // A schema without any property accepts everything.
  if (others.length > 0 || (index === undefined && propertySignatures.length === 0)) return undefined
  if (index !== undefined && !isAnyString(index.parameter)) return undefined
  const properties: Array<PlainProperty> = []
  for (const { name, type } of propertySignatures) {
    const shape = plainShapeOf(type)
    if (shape === undefined || typeof name !== "string") return undefined
    properties.push({ name, shape, isOptional: isOptional(type) })
  }
  if (index === undefined) return record(properties, undefined)
  const shape = plainShapeOf(index.type)
  return shape && record(properties, shape)
}

const isOptional = ({ context }: AST.AST): boolean => context?.isOptional === true

const isAnyString = ({ _tag, checks, encoding }: AST.AST): boolean =>
  _tag === "String" && checks === undefined && encoding === undefined

const allOf = (asts: ReadonlyArray<AST.AST>): ReadonlyArray<PlainShape> | undefined => {
  const shapes = asts.map(plainShapeOf).filter((shape) => shape !== undefined)
  return shapes.length === asts.length ? shapes : undefined
}
