#include "cli/compact_command.h"

#include "base/log.h"
#include "cli/client_command.h"
#include "cli/embedded_node.h"
#include "cli/output.h"
#include "posix/runtime.h"

namespace kvstore::cli {
namespace {

async::Task<Status> compact_offline(env::Env* env) {
    // Starting a node would make a data directory of any empty folder.
    const auto id = co_await read_node_id(&env->disk);
    if (!id.ok()) {
        co_return id.status();
    }
    const EmbeddedOptions options;
    auto started = co_await start_embedded_node(env, options);
    if (!started.ok()) {
        co_return started.status();
    }
    const std::unique_ptr<server::Node> node = *std::move(started);
    const Status compacted = co_await node->kv().host().compact_all();
    const Status stopped = co_await node->stop();
    co_return compacted.ok() ? stopped : compacted;
}

ExitCode compact_directory(const std::string& directory) {
    set_log_level(LogLevel::kError);
    posix::RuntimeOptions options;
    options.root_directory = directory;
    posix::Runtime runtime(options);
    const Status done = runtime.block_on(compact_offline(&runtime.env()));
    if (!done.ok()) {
        write_error("kvstore compact: " + directory + ": " + done.to_string() + "\n");
        return server_exit_code(done);
    }
    write_output("compacted " + directory + "\n");
    return ExitCode::kOk;
}

}  // namespace

ExitCode run_compact(const std::vector<std::string>& arguments) {
    const bool is_directory = arguments.size() == 1 && !arguments.front().starts_with('-');
    return is_directory ? compact_directory(arguments.front())
                        : run_client_command(compact_online_command(), arguments);
}

}  // namespace kvstore::cli
