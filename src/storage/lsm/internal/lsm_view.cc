#include "storage/lsm/internal/lsm_view.h"

#include <utility>

#include "base/assert.h"
#include "storage/lsm/internal/rocks_status.h"

namespace kvstore::storage::lsm {

GatePass::GatePass(async::Gate* gate, async::Scheduler* scheduler)
    : gate_(gate), scheduler_(scheduler) {
    const bool is_open = gate_->try_enter();
    KVSTORE_ASSERT(is_open);
}

GatePass::~GatePass() {
    if (async::Scheduler::current() == scheduler_) {
        gate_->leave();
        return;
    }
    scheduler_->post_from_any_thread([gate = gate_] { gate->leave(); });
}

// ---- LsmView ----

LsmView::LsmView(std::unique_ptr<GatePass> pass,
                 Database* database,
                 const Prefixes& prefixes,
                 std::shared_ptr<OpenBatch> batch)
    : pass_(std::move(pass)),
      database_(database),
      prefixes_(prefixes),
      batch_(batch == nullptr ? BatchReader() : BatchReader(std::move(batch))),
      snapshot_(database->raw()) {}

Result<bool> LsmView::find(Table table, ByteView key, ByteView* value) {
    const std::uint8_t prefix = prefixes_[static_cast<std::size_t>(table)];
    KVSTORE_CHECK_OK(database_->check());
    if (batch_.get() != nullptr) {
        const OpenBatch::Entry* entry = batch_.get()->find(prefix, key);
        if (entry != nullptr) {
            *value = batch_.get()->value(*entry);
            return !entry->is_erased;
        }
    }
    key_.assign(1, static_cast<char>(prefix));
    key_.append(key);
    KVSTORE_TRY(const Database::Found found,
                database_->get(Database::Tier::kDisk, snapshot_.raw(), key_, &pinned_));
    *value = to_view(pinned_);
    return found == Database::Found::kYes;
}

std::unique_ptr<Cursor> LsmView::cursor(Table table) const {
    return make_cursor(table, LsmCursor::Use::kUsual);
}

std::unique_ptr<LsmCursor> LsmView::make_cursor(Table table, LsmCursor::Use use) const {
    return std::make_unique<LsmCursor>(
        database_, snapshot_.raw(), prefixes_[static_cast<std::size_t>(table)], batch_.get(), use);
}

// ---- LsmCursor ----

LsmCursor::LsmCursor(Database* database,
                     const rocksdb::Snapshot* snapshot,
                     std::uint8_t prefix,
                     const OpenBatch* batch,
                     Use use)
    : database_(database),
      lower_(1, static_cast<char>(prefix)),
      upper_(prefix_end(lower_)),
      lower_bound_(to_slice(lower_)),
      upper_bound_(to_slice(upper_)),
      batch_(batch) {
    rocksdb::ReadOptions options = Database::read_options();
    options.snapshot = snapshot;
    options.iterate_lower_bound = &lower_bound_;
    options.iterate_upper_bound = upper_.empty() ? nullptr : &upper_bound_;
    options.fill_cache = use != Use::kOnce;
    if (use == Use::kWithoutDisk) {
        options.read_tier = rocksdb::kBlockCacheTier;
    }
    base_.reset(database->raw().NewIterator(options));
    if (batch_ != nullptr) {
        first_ = batch_->ordered().lower_bound(ByteView(lower_));
        end_ = upper_.empty() ? batch_->ordered().end()
                              : batch_->ordered().lower_bound(ByteView(upper_));
        at_ = end_;
    }
}

void LsmCursor::seek(ByteView key) {
    target_ = lower_;
    target_.append(key);
    seek_prefixed();
}

void LsmCursor::seek_before(ByteView key) {
    target_ = lower_;
    target_.append(key);
    seek_before_prefixed();
}

void LsmCursor::seek_to_last() {
    direction_ = Direction::kBackward;
    base_->SeekToLast();
    if (batch_ != nullptr) {
        is_past_batch_ = first_ == end_;
        at_ = is_past_batch_ ? end_ : std::prev(end_);
    }
    settle();
}

void LsmCursor::seek_prefixed() {
    direction_ = Direction::kForward;
    base_->Seek(to_slice(target_));
    if (batch_ != nullptr) {
        at_ = batch_->ordered().lower_bound(ByteView(target_));
        is_past_batch_ = at_ == end_;
    }
    settle();
}

void LsmCursor::seek_before_prefixed() {
    direction_ = Direction::kBackward;
    base_->SeekForPrev(to_slice(target_));
    if (base_->Valid() && to_view(base_->key()) == target_) {
        base_->Prev();
    }
    if (batch_ != nullptr) {
        at_ = batch_->ordered().lower_bound(ByteView(target_));
        is_past_batch_ = at_ == first_;
        if (!is_past_batch_) {
            --at_;
        }
    }
    settle();
}

void LsmCursor::next() {
    KVSTORE_ASSERT(valid());
    if (direction_ == Direction::kBackward) {
        // The first key after the one we stand on.
        target_ = lower_;
        target_.append(key());
        target_.push_back('\0');
        seek_prefixed();
        return;
    }
    if (source_ == Source::kBatch) {
        step_batch();
    } else {
        step_base();
    }
    settle();
}

void LsmCursor::previous() {
    KVSTORE_ASSERT(valid());
    if (direction_ == Direction::kForward) {
        target_ = lower_;
        target_.append(key());
        seek_before_prefixed();
        return;
    }
    if (source_ == Source::kBatch) {
        step_batch();
    } else {
        step_base();
    }
    settle();
}

ByteView LsmCursor::key() const {
    KVSTORE_ASSERT(valid());
    const ByteView prefixed =
        source_ == Source::kBase ? to_view(base_->key()) : batch_->key(batch_entry());
    return prefixed.substr(1);
}

ByteView LsmCursor::value() const {
    KVSTORE_ASSERT(valid());
    return source_ == Source::kBase ? to_view(base_->value()) : batch_->value(batch_entry());
}

// Decides which of the two the cursor stands on, passing over what the batch hides.
void LsmCursor::settle() {
    source_ = Source::kNone;
    while (check_base()) {
        if (!has_batch_entry()) {
            source_ = base_->Valid() ? Source::kBase : Source::kNone;
            return;
        }
        int order = -1;  // of the batch's key against the base's
        if (base_->Valid()) {
            order = batch_->key(batch_entry()).compare(to_view(base_->key()));
        }
        const bool base_is_nearer = direction_ == Direction::kForward ? order > 0 : order < 0;
        if (base_->Valid() && base_is_nearer) {
            source_ = Source::kBase;
            return;
        }
        if (base_->Valid() && order == 0) {
            step_base();  // written again in the batch
            continue;
        }
        if (!batch_entry().is_erased) {
            source_ = Source::kBatch;
            return;
        }
        step_batch();
    }
}

void LsmCursor::step_base() {
    if (direction_ == Direction::kForward) {
        base_->Next();
    } else {
        base_->Prev();
    }
}

void LsmCursor::step_batch() {
    if (direction_ == Direction::kForward) {
        ++at_;
        is_past_batch_ = at_ == end_;
        return;
    }
    is_past_batch_ = at_ == first_;
    if (!is_past_batch_) {
        --at_;
    }
}

bool LsmCursor::has_batch_entry() const {
    return batch_ != nullptr && !is_past_batch_;
}

// An error of the base must end the cursor: going on with the batch alone would skip rows.
bool LsmCursor::check_base() {
    if (base_->Valid()) {
        return true;
    }
    status_ = database_->check();
    if (status_.ok()) {
        status_ = database_->report(base_->status());
    }
    return status_.ok();
}

}  // namespace kvstore::storage::lsm
