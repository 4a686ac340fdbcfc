#include "kv/system_store.h"

#include <utility>

#include "base/log.h"
#include "kv/keyspace_record.h"
#include "replication/strong/raft_group.h"

namespace kvstore::kv {

async::Task<Result<bool>> SystemStore::read_pages(cluster::SystemRows* rows,
                                                  async::Deadline deadline) {
    mvcc::ScanRequest request;
    Revision first;
    for (bool has_more = true; has_more;) {
        CallContext context;
        context.deadline = deadline;
        auto scanned = co_await kv_.scan(std::move(context), system_, request);
        KVSTORE_CO_TRY(mvcc::ScanPage page, std::move(scanned));
        if (request.from.empty()) {
            first = page.revision;
        }
        if (page.revision != first) {
            co_return false;
        }
        for (mvcc::ScanRow& row : page.rows) {
            rows->rows.emplace_back(std::move(row.key), std::move(row.value));
        }
        has_more = page.has_more;
        request.from = std::move(page.next);
    }
    rows->version = cluster::MapVersion(first.value());
    co_return true;
}

async::Task<Result<cluster::SystemRows>> SystemStore::read(async::Deadline deadline) {
    // Changes are rare: a write between two pages means to begin anew.
    for (;;) {
        cluster::SystemRows rows;
        auto read = co_await read_pages(&rows, deadline);
        KVSTORE_CO_TRY(const bool is_of_one_revision, std::move(read));
        if (is_of_one_revision) {
            co_return rows;
        }
        if (deadline.has_passed(kv_.env().clock.now())) {
            co_return Status(Code::kDeadlineExceeded, "the system shard changes too often to read");
        }
    }
}

async::Task<Status> SystemStore::write(std::vector<cluster::MetadataChange> changes,
                                       async::Deadline deadline) {
    mvcc::Command command;
    for (const cluster::MetadataChange& change : changes) {
        mvcc::KeyCondition condition;
        condition.key = change.key;
        condition.condition.kind = change.expected.has_value() ? mvcc::ConditionKind::kValue
                                                               : mvcc::ConditionKind::kAbsent;
        condition.condition.value =
            change.expected.has_value() ? ByteView(*change.expected) : ByteView();
        command.conditions.push_back(condition);
        mvcc::Operation operation;
        operation.kind =
            change.value.has_value() ? mvcc::OperationKind::kPut : mvcc::OperationKind::kDelete;
        operation.key = change.key;
        operation.argument = change.value.has_value() ? ByteView(*change.value) : ByteView();
        command.operations.push_back(operation);
    }
    CallContext context;
    context.deadline = deadline;
    auto executed = co_await kv_.execute(std::move(context), system_, &command);
    KVSTORE_CO_TRY(const CommandOutcome outcome, std::move(executed));
    if (!outcome.conditions_held) {
        co_return Status(Code::kConflict, "the records have changed meanwhile");
    }
    if (system_->group().has_replica()) {
        const Status persisted = co_await kv_.host().persist_shard(kSystemShard);
        if (!persisted.ok()) {
            // The log has it, where there is one.
            log_warning("persisting the catalogue failed", {{"reason", persisted.to_string()}});
        }
    }
    co_return Status();
}

std::optional<cluster::SystemRows> SystemStore::read_local(cluster::MapVersion known) {
    replication::Group& group = system_->group();
    if (!group.has_replica() || !group.health().ok() || !group.gate().try_enter()) {
        return std::nullopt;
    }
    std::optional<cluster::SystemRows> rows;
    const cluster::MapVersion version(group.shard().state().revision.value());
    if (version > known) {
        rows.emplace();
        rows->version = version;
        const std::unique_ptr<storage::View> view = group.shard().view();
        mvcc::ScanRequest request;
        request.limit = 0;
        for (bool has_more = true; has_more;) {
            auto page = mvcc::Shard::scan(view.get(), request);
            if (!page.ok()) {
                log_warning("the system shard cannot be read",
                            {{"reason", page.status().to_string()}});
                rows.reset();
                break;
            }
            for (mvcc::ScanRow& row : page->rows) {
                rows->rows.emplace_back(std::move(row.key), std::move(row.value));
            }
            has_more = page->has_more;
            request.from = std::move(page->next);
        }
    }
    group.gate().leave();
    return rows;
}

bool SystemStore::is_leader() const {
    const replication::RaftGroup* const group = kv_.host().find_raft_group(kSystemShard);
    return group != nullptr && group->is_leader();
}

}  // namespace kvstore::kv
