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
}
