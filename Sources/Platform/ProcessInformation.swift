import CPlatform
import Glibc

/// What a process knows about itself and its machine.
public enum ProcessInformation {
  public static var id: Int32 { getpid() }

  /// Resident memory in bytes, as the kernel counts it; 0 where /proc is not mounted.
  public static var residentBytes: Int64 {
    guard let text = smallFile("/proc/self/statm") else { return 0 }
    let fields = text.split(separator: " ")
    guard fields.count > 1, let pages = Int64(fields[1]) else { return 0 }
    return pages * Int64(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// Lets a process of this user write no file beyond so many bytes; nil: as large as it may.
  /// False when there is no such process, or it is not this user's.
  public static func limitFileSize(of id: Int32, bytes: UInt64?) -> Bool {
    platform_limit_file_size(id, bytes ?? .max) == 0
  }

  /// Resident memory of another process in bytes; nil when there is none of that id.
  public static func residentBytes(of id: Int32) -> Int64? {
    guard let text = smallFile("/proc/\(id)/statm") else { return nil }
    let fields = text.split(separator: " ")
    guard fields.count > 1, let pages = Int64(fields[1]) else { return nil }
    return pages * Int64(sysconf(Int32(_SC_PAGESIZE)))
  }

  /// Processor time of another process in nanoseconds, user and system.
  public static func processorNanoseconds(of id: Int32) -> Int64? {
    // The name in parentheses may hold spaces; the fields after it do not.
    guard let text = smallFile("/proc/\(id)/stat"), let close = text.lastIndex(of: ")") else {
      return nil
    }
    let fields = text[text.index(after: close)...].split(separator: " ")
    guard fields.count > 12, let user = Int64(fields[11]), let system = Int64(fields[12]) else {
      return nil
    }
    return (user + system) * (1_000_000_000 / Int64(sysconf(Int32(_SC_CLK_TCK))))
  }

  /// Processor time of this process in nanoseconds, user and system.
  public static var ownProcessorNanoseconds: Int64 { processorNanoseconds(of: getpid()) ?? 0 }

  /// The most memory that a process ever had resident, in bytes.
  public static func peakResidentBytes(of id: Int32) -> Int64? {
    guard let text = smallFile("/proc/\(id)/status") else { return nil }
    return number(after: "VmHWM:", in: text).map { $0 * 1024 }
  }

  /// Bytes that a process has caused to be written to disks; nil where that may not be read.
  public static func writtenBytes(of id: Int32) -> Int64? {
    guard let text = smallFile("/proc/\(id)/io") else { return nil }
    return number(after: "write_bytes:", in: text)
  }

  private static func number(after name: String, in text: String) -> Int64? {
    for line in text.split(separator: "\n") where line.hasPrefix(name) {
      return Int64(line.dropFirst(name.count).split(whereSeparator: { " \t".contains($0) })[0])
    }
    return nil
  }

  /// Open descriptors; 0 where /proc is not mounted.
  public static var openDescriptors: Int { (try? FileSystem.list("/proc/self/fd").count) ?? 0 }

  /// Bytes that the C heap has handed out.
  public static var heapBytes: Int64 { Int64(platform_heap_bytes()) }

  /// Processors this process may use, at least one.
  public static var processorCount: Int {
    if let machine = Machines.simulated { return machine.processorCount }
    return max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
  }

  /// The most descriptors the process may open.
  public static var descriptorLimit: UInt64 {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return UInt64(limit.rlim_cur)
  }

  /// Raises that as far as the system lets it; returns the new limit.
  @discardableResult
  public static func raiseDescriptorLimit() -> UInt64 {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0 else { return 0 }
    limit.rlim_cur = limit.rlim_max
    setrlimit(resource, &limit)
    return descriptorLimit
  }

  /// A variable of the environment; nil when it is not set.
  public static func environment(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
  }

  /// All variables of the environment.
  public static var environment: [String: String] {
    var variables: [String: String] = [:]
    guard var entry = platform_environment() else { return [:] }
    while let text = entry.pointee {
      let pair = String(cString: text).split(
        separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if pair.count == 2 { variables[String(pair[0])] = String(pair[1]) }
      entry += 1
    }
    return variables
  }

  /// The path of the running executable.
  public static var executablePath: String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
      let count = buffer.baseAddress.map { readlink("/proc/self/exe", $0, 4095) } ?? -1
      guard count > 0 else { return nil }
      return String(decoding: UnsafeRawBufferPointer(buffer)[0..<count], as: UTF8.self)
    }
  }

  /// The operating system's name and release, and the kind of machine.
  public static var system: (name: String, release: String, machine: String) {
    var names = utsname()
    guard uname(&names) == 0 else { return ("Linux", "", "") }
    func text<T>(_ field: T) -> String {
      withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
    return (text(names.sysname), text(names.release), text(names.machine))
  }

  /// The directory that relative paths begin at; empty when it is gone.
  public static var currentDirectory: String {
    guard let path = getcwd(nil, 0) else { return "" }
    defer { free(path) }
    return String(cString: path)
  }

  private static func smallFile(_ path: String) -> String? {
    let number = platform_open(path, O_RDONLY, 0)
    guard number >= 0 else { return nil }
    let descriptor = FileDescriptor(owning: number)
    return withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
      let count = read(descriptor.number, buffer.baseAddress, buffer.count)
      guard count > 0 else { return nil }
      return String(decoding: UnsafeRawBufferPointer(buffer)[0..<count], as: UTF8.self)
    }
  }
}

/// Randomness from the kernel: for secrets, ids, and seeds of `SplitMix`.
public struct SystemRandom: RandomNumberGenerator, Sendable {
  public init() {}

  public mutating func next() -> UInt64 {
    var value: UInt64 = 0
    if let machine = Machines.simulated {
      withUnsafeMutableBytes(of: &value) { machine.fillRandom($0) }
      return value
    }
    let filled = platform_random(&value, 8)
    precondition(filled == 8, "the kernel gives no random bytes")
    return value
  }

  /// A seed for a generator that is no secret.
  public static func seed() -> UInt64 {
    var random = SystemRandom()
    return random.next()
  }

  /// So many random bytes.
  public static func bytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      initialized = count
      if let machine = Machines.simulated {
        return machine.fillRandom(UnsafeMutableRawBufferPointer(buffer))
      }
      let filled = platform_random(buffer.baseAddress, count)
      precondition(filled == count, "the kernel gives no random bytes")
    }
  }
}
