/// A page that needs nothing else: no script, no font, no network.
public enum HTMLPage {
  /// A complete document.
  /// - Parameter body: HTML, escaped where it holds somebody's text.
  public static func document(title: String, body: String) -> String {
    """
    <!doctype html>
    <html lang="en"><head><meta charset="utf-8">
    <title>\(escape(title))</title>
    <style>\(style)</style></head><body>\(body)</body></html>

    """
  }

  public static func escape(_ text: String) -> String {
    var escaped = ""
    for character in text {
      switch character {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      default: escaped.append(character)
      }
    }
    return escaped
  }

  /// - Parameter numbers: columns that are set flush right.
  public static func table(_ rows: [[String]], numbers: Set<Int> = []) -> String {
    let lines = rows.map { row in
      let cells = row.enumerated().map { index, cell in
        "<td\(numbers.contains(index) ? " class=\"n\"" : "")>\(escape(cell))</td>"
      }
      return "<tr>\(cells.joined())</tr>"
    }
    return "<table>\(lines.joined())</table>"
  }

  private static let style = """
    body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;\
    color:#222;background:#fff}
    h1{margin-bottom:0}h2{margin-top:1.6em;font-size:1.1em}
    table{border-collapse:collapse}td,th{padding:.2em .9em .2em 0;text-align:left;\
    vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}
    .verdict{font-size:1.2em;font-weight:bold}.good{color:#17722c}.bad{color:#b3261e}
    svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:#555}
    """
}
