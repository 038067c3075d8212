/// Carries a loop's own object through a `@Sendable` closure that comes back to that loop.
public struct Unchecked<T>: @unchecked Sendable {  // opened only on the loop the value belongs to
  public let value: T
  public init(_ value: T) { self.value = value }
}
