-- Webhooks of well-known services: take what you need, put your secrets in, run it as the schema's owner.
-- Each service wants to be told https://YOUR.SITE/push/hook/NAME.  NAME is the first argument.
--
-- Secrets stand in the database and are read by the worker alone (bellpush.hooks shows how many there are, not
-- which).  To rotate: define the hook with the new and the old one, change the service, define it with the new one.

-- GitHub: Settings, Webhooks; content type application/json.  Gitea, Forgejo and Meta sign in the same way.
SELECT bellpush.define_hook('github', 'github',
  'github/{json.repository.full_name}/{header.x-github-event}', ARRAY['put a long secret here'],
  type => '{header.x-github-event}', options => '{"private": true}');

-- GitLab: the secret token; newer ones have signing tokens (whsec_…): scheme standard.
SELECT bellpush.define_hook('gitlab', 'gitlab',
  'gitlab/{json.project.path_with_namespace}/{json.object_kind}', ARRAY['put a long secret here'],
  type => '{json.object_kind}', options => '{"private": true}');

-- Stripe: Developers, Webhooks; the secret is used as it is, with its whsec_.
SELECT bellpush.define_hook('stripe', 'stripe', 'stripe/{json.type}', ARRAY['whsec_put yours here'],
  type => '{json.type}', options => '{"private": true}');

-- Slack: Basic Information, Signing Secret.  Events API; the challenge is answered.
SELECT bellpush.define_hook('slack', 'slack', 'slack/{json.team_id}/{json.event.type}',
  ARRAY['put the signing secret here'], type => '{json.event.type}', options => '{"private": true}');

-- Slack, slash commands: forms.
SELECT bellpush.define_hook('slack-commands', 'slack', 'slack/{form.team_id}/{form.command}',
  ARRAY['put the signing secret here'], type => 'command', options => '{"private": true}');

-- Shopify: the app's client secret.
SELECT bellpush.define_hook('shopify', 'shopify',
  'shopify/{header.x-shopify-shop-domain}/{header.x-shopify-topic}', ARRAY['put the client secret here'],
  type => '{header.x-shopify-topic}', options => '{"private": true}');

-- Twilio: the auth token, and the address exactly as it was given to Twilio.
SELECT bellpush.define_hook('sms', 'twilio', 'sms/{form.To}', ARRAY['put the auth token here'],
  type => 'sms', options => '{"url": "https://your.site/push/hook/sms", "private": true}');

-- Standard Webhooks (Svix, Clerk, Resend, Supabase, OpenAI and many more): whsec_… or, for v1a, whpk_….
SELECT bellpush.define_hook('clerk', 'standard', 'clerk/{json.type}', ARRAY['whsec_cHV0IHlvdXJzIGhlcmU='],
  type => '{json.type}', options => '{"private": true}');

-- CloudEvents (Knative, Azure Event Grid and others): the secret is a bearer token.
SELECT bellpush.define_hook('cloud', 'cloudevents', 'cloud', ARRAY['put a long secret here'],
  options => '{"origins": ["eventgrid.azure.net"], "private": true}');

-- WebSub: the secret and the feed with which you subscribe at the hub; its GET is answered.
SELECT bellpush.define_hook('feed', 'websub', 'feeds/example', ARRAY['put a long secret here'],
  options => '{"hub.topic": "https://example.org/feed.xml"}');

-- Zoom, as an example of a service of its own kind: a time, and "v0:" before it.
SELECT bellpush.define_hook('zoom', 'hmac', 'zoom/{json.event}', ARRAY['put the secret token here'],
  type => '{json.event}',
  options => '{"header": "x-zm-signature", "prefix": "v0=", "timestamp_header": "x-zm-request-timestamp",
               "signed": "v0:{timestamp}:{body}", "private": true}');
