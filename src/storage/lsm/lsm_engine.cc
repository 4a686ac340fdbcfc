// How an LSM engine is opened. The engine itself stands in internal/.
#include "storage/lsm/internal/lsm_engine.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"
#include "storage/engines.h"
#include "storage/lsm/internal/database.h"
#include "storage/lsm/internal/lsm_shared.h"

namespace kvstore::storage {
namespace {

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

}  // namespace

async::Task<Result<std::unique_ptr<Engine>>> open_lsm_engine(env::Env* env,
                                                             std::string directory,
                                                             LsmEngineOptions options) {
    const std::string path = env->disk.native_path(directory);
    if (path.empty()) {
        co_return Status(Code::kUnimplemented,
                         "the lsm engine needs a real disk: " + directory + " has no native path");
    }
    KVSTORE_CO_CHECK_OK(co_await env->disk.create_directories(directory));
    KVSTORE_CO_CHECK_OK(co_await env->disk.sync_directory(parent_of(directory)));
    if (options.shared == nullptr) {
        options.shared = make_lsm_shared(LsmSharedOptions{});
    }

    std::optional<Result<std::unique_ptr<lsm::Database>>> opened;
    Callback<void()> work(
        [&path, &options, &opened] { opened.emplace(lsm::Database::open(path, options)); });
    co_await env->disk.run_blocking(std::move(work));
    KVSTORE_ASSERT(opened.has_value());
    KVSTORE_CO_TRY(std::unique_ptr<lsm::Database> database, *std::move(opened));

    auto engine = std::make_unique<lsm::LsmEngine>(env, std::move(database), options.shared);
    engine->resume_purges();
    co_return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace kvstore::storage
