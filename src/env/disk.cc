#include "env/disk.h"

namespace kvstore::env {

async::Task<Result<Bytes>> read_file(Disk* disk, std::string path, std::uint64_t size_max) {
    const OpenOptions options{.writable = false};
    auto opened = co_await disk->open(path, options);
    KVSTORE_CO_TRY(const std::unique_ptr<File> file, std::move(opened));
    auto measured = co_await file->size();
    KVSTORE_CO_TRY(const std::uint64_t size, std::move(measured));
    if (size > size_max) {
        co_return Status(
            Code::kTooLarge,
            path + " has " + std::to_string(size) + " bytes, at most " + std::to_string(size_max));
    }
    auto content = co_await file->read(0, static_cast<std::size_t>(size));
    co_return content;
}

async::Task<Status> write_file_atomically(Disk* disk, std::string path, Bytes content) {
    const std::string aside = path + ".new";
    {
        KVSTORE_CO_CHECK_OK(co_await disk->remove(aside));
        const OpenOptions options{.create = true};
        auto opened = co_await disk->open(aside, options);
        KVSTORE_CO_TRY(const std::unique_ptr<File> file, std::move(opened));
        KVSTORE_CO_CHECK_OK(co_await file->write(0, content));
        KVSTORE_CO_CHECK_OK(co_await file->sync());
    }
    KVSTORE_CO_CHECK_OK(co_await disk->rename(aside, path));
    const std::size_t slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "" : path.substr(0, slash);
    co_return co_await disk->sync_directory(directory);
}

}  // namespace kvstore::env
