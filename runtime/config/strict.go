package config

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// unknownKeys finds every key of data that no field of the type of into takes. encoding/json alone
// would stop at the first one.
func unknownKeys(data []byte, into any) Problems {
	var tree any
	if json.Unmarshal(data, &tree) != nil {
		return nil // the decoder says it better
	}
	var found Problems
	walk(tree, reflect.TypeOf(into), "", &found)
	return found
}

func walk(tree any, t reflect.Type, at string, found *Problems) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return
	}
	switch node := tree.(type) {
	case map[string]any:
		walkObject(node, t, at, found)
	case []any:
		if t.Kind() == reflect.Slice {
			for i, v := range node {
				walk(v, t.Elem(), at+"["+strconv.Itoa(i)+"]", found)
			}
		}
	}
}

func walkObject(node map[string]any, t reflect.Type, at string, found *Problems) {
	if t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return
	}
	for key, v := range node {
		path := strings.TrimPrefix(at+"."+key, ".")
		if t.Kind() == reflect.Map {
			walk(v, t.Elem(), path, found)
			continue
		}
		field, ok := fieldByKey(t, key)
		if !ok {
			found.add(path, "unknown setting")
			continue
		}
		walk(v, field.Type, path, found)
	}
}

func fieldByKey(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == key {
			return t.Field(i), true
		}
	}
	return reflect.StructField{}, false
}
