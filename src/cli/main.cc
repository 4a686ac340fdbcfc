#include "cli/main.h"

#include <csignal>
#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/server_command.h"
#include "cli/version.h"

namespace kvstore::cli {
namespace {

constexpr std::string_view kHelp =
    "Usage: kvstore COMMAND [flags]\n\n"
    "  server     start a node\n"
    "  version    what this program is and what it is built on\n\n"
    "`kvstore COMMAND --help` tells more.\n";

}  // namespace

int run_main(int argc, char** argv) {
    // A reader that goes away is told by write(), not by a signal.
    (void)std::signal(SIGPIPE, SIG_IGN);
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    ExitCode code = ExitCode::kOk;
    if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "help") {
        write_output(kHelp);
        code = arguments.empty() ? ExitCode::kUsage : ExitCode::kOk;
    } else if (arguments[0] == "server") {
        code = run_server({arguments.begin() + 1, arguments.end()});
    } else if (arguments[0] == "--version" || arguments[0] == "version") {
        write_output(version_text());
    } else {
        write_error("kvstore: unknown command '" + arguments[0] + "'\n");
        code = ExitCode::kUsage;
    }
    return static_cast<int>(code);
}

}  // namespace kvstore::cli
