// `kvstore import FILE|-`: NDJSON lines into batches, several on their way at a time.
#include <array>
#include <memory>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "async/sync.h"
#include "cli/client_command.h"
#include "cli/import_line.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/progress_bar.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kBatchItemsMax = 500;
constexpr std::size_t kBatchBytesMax = 4U << 20U;
constexpr std::uint64_t kParallelMax = 64;
constexpr int kAttemptsMax = 5;
constexpr std::size_t kComplaintsMax = 20;

constexpr std::array<FlagSpec, 2> kFlags{{
    {.name = "parallel", .value = "N", .help = "requests on their way at a time [4]"},
    {.name = "batch", .value = "N", .help = "keys in one request, at most 500 [500]"},
}};

// One run of the command, shared by the tasks that send.
struct Import {
    Import(ClientSession& client, LineReader&& lines, std::uint64_t batch)
        : session(client),
          reader(std::move(lines)),
          batch_items(batch),
          bar(client.env.clock.now()),
          done(client.env.scheduler) {}

    ClientSession& session;
    LineReader reader;
    std::uint64_t batch_items;
    ProgressBar bar;
    async::Gate done;
    std::uint64_t written = 0;
    std::uint64_t bad_lines = 0;
    std::size_t complaints = 0;
    Status failure;  // ends the import
};

struct Batch {
    json::array items;
    std::size_t first_line = 0;
};

void complain(Import& import, std::size_t line, std::string_view why) {
    ++import.bad_lines;
    if (++import.complaints <= kComplaintsMax) {
        write_error("line " + std::to_string(line) + ": " + std::string(why) + "\n");
    }
}

// The next batch; empty at the end of the input.
Result<Batch> read_batch(Import& import) {
    Batch batch;
    std::size_t bytes = 0;
    while (batch.items.size() < import.batch_items && bytes < kBatchBytesMax) {
        KVSTORE_TRY(const auto line, import.reader.next());
        if (!line) {
            break;
        }
        if (line->find_first_not_of(" \t\r") == std::string::npos) {
            continue;
        }
        auto item = parse_import_line(*line);
        if (!item.ok()) {
            complain(import, import.reader.line_number(), item.status().message());
            continue;
        }
        if (batch.items.empty()) {
            batch.first_line = import.reader.line_number();
        }
        bytes += line->size();
        batch.items.push_back(*std::move(item));
    }
    return batch;
}

void count_results(Import& import, const json::object& answer, std::size_t first_line) {
    const json::value* results = answer.if_contains("results");
    if (results == nullptr || !results->is_array()) {
        return;
    }
    for (const json::value& result : results->as_array()) {
        const json::value* ok = result.is_object() ? result.as_object().if_contains("ok") : nullptr;
        if (ok != nullptr && ok->is_bool() && ok->as_bool()) {
            ++import.written;
        } else {
            complain(import, first_line, "the server refused " + json::serialize(result));
        }
    }
}

bool may_retry(const Status& why) {
    return why.effect() == Effect::kNone &&
           (why.code() == Code::kUnavailable || why.code() == Code::kOverloaded);
}

async::Task<void> send_batch(Import* import, ApiClient* api, Batch batch) {
    json::object body;
    const std::size_t first_line = batch.first_line;
    body["items"] = std::move(batch.items);
    http::ClientRequest request;
    request.method = http::Method::kPost;
    request.target = api->target("/v1/batch/put").text();
    request.body = json::serialize(body);
    Duration pause = std::chrono::milliseconds(50);
    for (int attempt = 1;; ++attempt) {
        http::ClientRequest copy = request;
        const auto answer = co_await api->call_json(std::move(copy));
        if (answer.ok()) {
            count_results(*import, *answer, first_line);
            break;
        }
        if (attempt == kAttemptsMax || !may_retry(answer.status())) {
            import->failure =
                answer.status().with_context("batch from line " + std::to_string(first_line));
            break;
        }
        co_await import->session.env.clock.sleep(pause);
        pause *= 2;
    }
    import->bar.show(import->session.env.clock.now(),
                     {.item_count = import->written,
                      .byte_count = import->reader.bytes_read(),
                      .bytes_total = import->reader.bytes_total()});
}

// One connection: reads and sends, until the input or the import ends.
async::Task<void> run_sender(Import* import) {
    ApiClient api(import->session.env, import->session.api.options());
    while (import->failure.ok()) {
        auto batch = read_batch(*import);
        if (!batch.ok()) {
            import->failure = batch.status();
            break;
        }
        if (batch->items.empty()) {
            break;
        }
        co_await send_batch(import, &api, *std::move(batch));
    }
}

ExitCode finish(const Import& import) {
    write_error("imported " + with_thousands(import.written) + " keys" +
                (import.bad_lines == 0
                     ? std::string()
                     : ", " + with_thousands(import.bad_lines) + " lines were not taken") +
                "\n");
    if (!import.failure.ok()) {
        return report_failure(import.session, import.failure);
    }
    return import.bad_lines == 0 ? ExitCode::kOk : ExitCode::kError;
}

async::Task<ExitCode> run_import(ClientSession* session) {
    const auto parallel = number_flag(session->arguments, "parallel", 4);
    const auto batch = number_flag(session->arguments, "batch", kBatchItemsMax);
    auto reader = LineReader::open(session->word(0));
    for (const Status& status : {parallel.status(), batch.status(), reader.status()}) {
        if (!status.ok()) {
            co_return report_failure(*session, status);
        }
    }
    auto import = std::make_unique<Import>(
        *session, *std::move(reader), std::min(std::max<std::uint64_t>(*batch, 1), kBatchItemsMax));
    const std::uint64_t senders = std::min(std::max<std::uint64_t>(*parallel, 1), kParallelMax);
    for (std::uint64_t i = 0; i < senders; ++i) {
        (void)import->done.spawn(run_sender(import.get()));
    }
    co_await import->done.close();
    co_return finish(*import);
}

}  // namespace

const ClientCommand& import_command() {
    static constexpr ClientCommand kCommand{
        .name = "import",
        .usage = "FILE|- [flags]",
        .help =
            "Writes keys from lines of JSON: {\"key\":\"a\",\"value\":\"1\"}; also key_base64,\n"
            "value_base64 and ttl_seconds. Bad lines are named and left out (exit code 1).",
        .flags = kFlags,
        .words_min = 1,
        .words_max = 1,
        .run = run_import};
    return kCommand;
}

}  // namespace kvstore::cli
