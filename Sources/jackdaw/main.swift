import CommandLineTools
import Foundation

exit(await ToolCatalogue.run(Array(CommandLine.arguments.dropFirst())))
