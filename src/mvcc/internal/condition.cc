#include "mvcc/internal/condition.h"

namespace kvstore::mvcc::internal {

bool holds(const Condition& condition, const Found& found) {
    const Record absent;
    const Record& record = found.present ? found.record : absent;
    switch (condition.kind) {
        case ConditionKind::kNone: return true;
        case ConditionKind::kAbsent: return !found.present;
        case ConditionKind::kPresent: return found.present;
        case ConditionKind::kModRevision: return record.mod_revision == condition.revision;
        case ConditionKind::kValue: return found.present && record.value == condition.value;
        case ConditionKind::kVersionCount:
            return record.version_count == condition.revision.value();
        case ConditionKind::kCreateRevision: return record.create_revision == condition.revision;
        case ConditionKind::kModRevisionLess: return record.mod_revision < condition.revision;
        case ConditionKind::kModRevisionGreater: return record.mod_revision > condition.revision;
        case ConditionKind::kValueNot: return found.present && record.value != condition.value;
    }
    return false;
}

}  // namespace kvstore::mvcc::internal
