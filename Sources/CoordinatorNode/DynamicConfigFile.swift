// Files with the ensemble's members: read at start, written by reconfigurations.
//
//   zoo.cfg                  points to the dynamic file once there is one
//   zoo.cfg.bak              what zoo.cfg was before it was first rewritten
//   zoo.cfg.dynamic.<hex>    the members, of the version in the name
//   zoo.cfg.dynamic.next     a configuration that was proposed and is not known to be agreed on

import Platform
import Settings
import Zab

enum DynamicConfigFile {
  /// Reads the members of a file.
  static func read(_ path: String) throws(SettingsError) -> EnsembleConfig {
    let bytes: [UInt8]?
    do { bytes = try FileSystem.readFile(path) } catch {
      throw SettingsError("\(error)", key: "dynamicConfigFile", value: path)
    }
    guard let bytes else {
      throw SettingsError("no such file", key: "dynamicConfigFile", value: path)
    }
    let properties = try Properties(parsing: bytes, file: path)
    do throws(EnsembleConfig.Mistake) {
      return try EnsembleConfig(properties.effectiveEntries.map { ($0.key, $0.value) })
    } catch {
      throw SettingsError(
        error.reason, key: error.key, value: error.value, origin: properties.origin(of: error.key))
    }
  }

  /// The proposed configuration beside a static file; nil when there is none.
  static func readNext(of staticFile: String) throws(SettingsError) -> EnsembleConfig? {
    let path = nextPath(of: staticFile)
    guard let status = try? FileSystem.status(path), status.size > 0 else { return nil }
    return try read(path)
  }

  static func nextPath(of staticFile: String) -> String { staticFile + ".dynamic.next" }

  /// `zoo.cfg.dynamic.1001` is of version 0x1001; nil when the name does not end in a version.
  static func version(inNameOf path: String) -> Int64? {
    guard let dot = path.utf8.lastIndex(of: UInt8(ascii: ".")),
      let version = UInt64(path[path.utf8.index(after: dot)...], radix: 16)
    else { return nil }
    return Int64(bitPattern: version)
  }

  // MARK: Writing

  /// Keeps a proposed configuration beside the static file; durable on return.
  static func writeNext(
    _ config: EnsembleConfig, of staticFile: String
  ) throws(SystemError) {
    try FileSystem.replaceFile(
      nextPath(of: staticFile), with: Array(lines(of: config, withVersion: true).utf8))
  }

  /// Writes a configuration that is in force and points the static file to it; durable on return.
  ///
  /// - Parameter own: This server's line. Where it has a client port, the static file loses its.
  /// - Returns: The dynamic file's name.
  static func activate(
    _ config: EnsembleConfig, own: EnsembleServer?, of staticFile: String
  ) throws(SystemError) -> String {
    let path = "\(staticFile).dynamic.\(config.versionText)"
    try FileSystem.replaceFile(path, with: Array(lines(of: config, withVersion: false).utf8))
    guard let bytes = try FileSystem.readFile(staticFile) else {
      throw SystemError("open", code: 2, on: staticFile)
    }
    let text = staticText(
      bytes, pointingTo: try FileSystem.absolutePath(path), dropsClientPort: own?.clientPort != nil)
    try FileSystem.replaceFile(staticFile, with: Array(text.utf8))
    _ = try FileSystem.removeFile(nextPath(of: staticFile))
    return path
  }

  /// Keeps the static file as the operator wrote it, before its members move out.
  static func backUp(_ staticFile: String) throws(SystemError) {
    guard let bytes = try FileSystem.readFile(staticFile) else { return }
    try FileSystem.replaceFile(staticFile + ".bak", with: bytes)
  }

  /// ZooKeeper sorts the lines, and ends the file without a line end.
  static func lines(of config: EnsembleConfig, withVersion: Bool) -> String {
    let version = withVersion ? ["version=\(config.versionText)"] : []
    return (config.memberLines + version).sorted().joined(separator: "\n")
  }

  /// The static file without what has moved to the dynamic one. Comments go, as they do with
  /// ZooKeeper: the backup has them.
  static func staticText(
    _ bytes: [UInt8], pointingTo dynamicFile: String, dropsClientPort: Bool
  ) -> String {
    guard let properties = try? Properties(parsing: bytes, file: "") else { return "" }
    var dropped = ["server.", "group", "weight", "dynamicConfigFile", "peerType"]
    if dropsClientPort { dropped.append("clientPort") }
    let kept = properties.effectiveEntries.filter { entry in
      !dropped.contains { entry.key.hasPrefix($0) }
    }
    return kept.map { "\($0.key)=\($0.value)\n" }.joined()
      + "dynamicConfigFile=\(dynamicFile)\n"
  }
}
