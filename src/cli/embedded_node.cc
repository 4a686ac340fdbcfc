#include "cli/embedded_node.h"

#include <utility>

namespace kvstore::cli {

async::Task<Result<std::string>> read_node_id(env::Disk* disk) {
    const auto content = co_await env::read_file(disk, "kvstore", 64U << 10U);
    constexpr std::string_view kField = "\nnode ";
    const std::size_t at = content.ok() ? content->find(kField) : std::string::npos;
    if (at == std::string::npos) {
        co_return Status(Code::kNotFound,
                         "no data directory of kvstore: it has no readable file 'kvstore'");
    }
    const std::size_t begin = at + kField.size();
    co_return content->substr(begin, content->find('\n', begin) - begin);
}

async::Task<Result<std::unique_ptr<server::Node>>> start_embedded_node(env::Env* env,
                                                                       EmbeddedOptions options) {
    server::Config config;
    config.http_addr.port = 0;
    config.grpc_addr.port = 0;
    config.resp_addr.port = 0;
    config.alone = true;
    config.default_engine = options.engine;
    config.default_history = options.history;
    config.durability = options.durability;
    config.performance_log_interval = Duration(0);
    if (const auto id = co_await read_node_id(&env->disk); id.ok()) {
        config.id = *id;
    }
    Callback<void()> on_shutdown([] {});
    co_return co_await server::Node::start(env, std::move(config), std::move(on_shutdown));
}

}  // namespace kvstore::cli
