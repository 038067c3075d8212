import Platform

/// A process of the measured cluster.
public struct MeasuredProcess: Sendable {
  public var name: String
  public var id: Int32
  public init(name: String, id: Int32) {
    self.name = name
    self.id = id
  }
}

/// What processes have used so far; two of them make a difference.
struct ProcessUse {
  struct Figures {
    var processorNanoseconds: Int64
    var writtenBytes: Int64?
    var peakBytes: Int64
  }

  private var figures: [String: Figures] = [:]
  private var names: [String] = []

  init(_ processes: [MeasuredProcess]) {
    for process in processes {
      guard let time = ProcessInformation.processorNanoseconds(of: process.id) else { continue }
      names.append(process.name)
      figures[process.name] = Figures(
        processorNanoseconds: time,
        writtenBytes: ProcessInformation.writtenBytes(of: process.id),
        peakBytes: ProcessInformation.peakResidentBytes(of: process.id) ?? 0)
    }
  }

  /// What each process has used since `earlier`.
  /// - Parameter gibibytes: produced and consumed meanwhile.
  func since(_ earlier: ProcessUse, gibibytes: Double) -> [ShapeReport.Process] {
    names.compactMap { name in
      guard let now = figures[name], let before = earlier.figures[name] else { return nil }
      let seconds = Double(now.processorNanoseconds - before.processorNanoseconds) / 1e9
      let written = now.writtenBytes.flatMap { end in before.writtenBytes.map { end - $0 } }
      return ShapeReport.Process(
        name: name, processorSeconds: seconds,
        processorSecondsPerGiB: gibibytes > 0 ? seconds / gibibytes : 0,
        peakMiB: Double(now.peakBytes) / 1_048_576,
        writtenMiB: written.map { Double($0) / 1_048_576 })
    }
  }
}
