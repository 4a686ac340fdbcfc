package main

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// So many clients share a connection, as etcd's own benchmark has it: one each would cost etcd more.
const clientsEach = 16

type shared struct {
	client *clientv3.Client
	users  int
}

var (
	poolLock sync.Mutex
	pool     = map[string]*shared{}
)

type etcdStore struct {
	o        options
	endpoint string
	shared   *shared
}

func connectEtcd(o options, endpoint string) (store, error) {
	poolLock.Lock()
	defer poolLock.Unlock()
	one := pool[endpoint]
	if one == nil || one.users == clientsEach {
		client, err := clientv3.New(clientv3.Config{
			Endpoints: []string{endpoint}, DialTimeout: time.Second, Logger: zap.NewNop(),
		})
		if err != nil {
			return nil, err
		}
		one = &shared{client: client}
		pool[endpoint] = one
	}
	one.users++
	return &etcdStore{o: o, endpoint: endpoint, shared: one}, nil
}

// What broke for one is left to the others, who will find out.
func (s *etcdStore) close() {
	poolLock.Lock()
	defer poolLock.Unlock()
	if pool[s.endpoint] == s.shared {
		delete(pool, s.endpoint)
	}
}

func (s *etcdStore) run(isRead bool, keys []string, value string) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.patience)
	defer cancel()
	for _, key := range keys {
		var err error
		switch {
		case !isRead:
			_, err = s.shared.client.Put(ctx, key, value)
		case s.o.eventual:
			_, err = s.shared.client.Get(ctx, key, clientv3.WithSerializable())
		default:
			_, err = s.shared.client.Get(ctx, key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
