package memstore_test

import (
	"testing"

	"tocsin/dispatcher/memstore"
	"tocsin/dispatcher/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(testing.TB) storetest.Store { return memstore.New() })
}
