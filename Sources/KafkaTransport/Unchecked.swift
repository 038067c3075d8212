import Platform

/// What belongs to a loop, on its way through a closure that comes back to that loop.
public typealias Unchecked = LoopConfined
