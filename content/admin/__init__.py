"""The admin of content: pages for each collection, and for modelling. No ModelAdmin: every act asks the verbs."""
