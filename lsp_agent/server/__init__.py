"""What listens: connections, handlers, documents, and the plain LSP surface behind pygls."""
